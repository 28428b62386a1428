import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { onPath } from '../support/debian.ts'
import { freePort } from '../support/port.ts'
import { pidOf } from './processes.ts'

export type Nginx = { url: string; pid: number; stop(): Promise<void> }

/** A proxy that is not written in JavaScript, with one worker, as a measure of the rest; null where there is none. */
export const startNginx = async (target: string): Promise<Nginx | null> => {
  const path = await onPath('nginx')
  if (path === undefined) return null
  const folder = await mkdtemp(join(tmpdir(), 'narrowapi-nginx-'))
  const port = await freePort()
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, port, target))
  const child = spawn(path, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
    stdio: 'ignore',
  })
  const url = `http://127.0.0.1:${port}`
  const stop = async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve))
    await rm(folder, { recursive: true, force: true })
  }
  process.once('exit', () => child.kill('SIGTERM'))
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (child.exitCode !== null) break
    const answers = await fetch(`${url}/served`).then(
      () => true,
      () => false,
    )
    if (answers) return { url, pid: pidOf(child), stop }
    await delay(50)
  }
  await stop()
  throw new Error('nginx is installed and did not start')
}

const configuration = (folder: string, port: number, target: string): string => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  upstream target { server ${new URL(target).host}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://target;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`
