// What Node programs do: threads, files, processes, sockets, cryptography.
const assert = require('node:assert')
const crypto = require('node:crypto')
const dns = require('node:dns/promises')
const events = require('node:events')
const fs = require('node:fs/promises')
const http = require('node:http')
const net = require('node:net')
const zlib = require('node:zlib')
const { fork, spawn, execFile } = require('node:child_process')
const { promisify } = require('node:util')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')

async function threads() {
  const workers = [1, 2, 3, 4].map((n) => new Worker(__filename, { workerData: { n } }))
  const answers = await Promise.all(workers.map(async (w) => (await events.once(w, 'message'))[0]))
  assert.deepEqual(answers.sort(), [1, 4, 9, 16].sort())
}

async function files() {
  const directory = await fs.mkdtemp('/tmp/node-')
  await fs.writeFile(`${directory}/a`, 'x'.repeat(100000))
  await fs.copyFile(`${directory}/a`, `${directory}/b`)
  const watcher = require('node:fs').watch(directory)
  const changed = events.once(watcher, 'change')
  await fs.rename(`${directory}/b`, `${directory}/c`)
  await changed
  watcher.close()
  assert.deepEqual(await fs.readdir(directory), ['a', 'c'])
  assert.equal((await fs.stat(`${directory}/c`)).size, 100000)
  await fs.cp(directory, `${directory}-copy`, { recursive: true })
  await fs.rm(directory, { recursive: true })
}

async function processes() {
  assert.equal((await promisify(execFile)('cat', ['/proc/self/comm'])).stdout, 'cat\n')
  const child = fork(__filename, ['child'])
  const message = events.once(child, 'message')
  const end = events.once(child, 'exit')
  child.send('hello')
  assert.equal((await message)[0], 'HELLO')
  assert.equal((await end)[0], 0)
  const sleeper = spawn('sleep', ['60'])
  sleeper.kill()
  assert.deepEqual(await events.once(sleeper, 'exit'), [null, 'SIGTERM'])
}

async function sockets() {
  assert.ok((await dns.lookup('localhost')).address)
  const server = http.createServer((request, response) => response.end('served')).listen(0, '127.0.0.1')
  await events.once(server, 'listening')
  assert.equal(await (await fetch(`http://127.0.0.1:${server.address().port}/`)).text(), 'served')
  server.close()
  server.closeAllConnections()
  const local = net.createServer((s) => s.end('local')).listen('/tmp/node.sock')
  await events.once(local, 'listening')
  const client = net.connect('/tmp/node.sock')
  assert.equal(String((await events.once(client, 'data'))[0]), 'local')
  client.destroy()
  local.close()
}

async function computation() {
  assert.equal((await promisify(crypto.scrypt)('p', 's', 32)).length, 32)
  const { privateKey, publicKey } = await promisify(crypto.generateKeyPair)('ed25519')
  assert.ok(crypto.verify(null, Buffer.from('x'), publicKey, crypto.sign(null, Buffer.from('x'), privateKey)))
  assert.equal(String(zlib.gunzipSync(await promisify(zlib.gzip)('text'))), 'text')
  const code = Buffer.from('0061736d010000000105016000017f03020100070501016600000a06010400412a0b', 'hex')
  assert.equal((await WebAssembly.instantiate(code)).instance.exports.f(), 42)
}

async function main() {
  for (const work of [threads, files, processes, sockets, computation]) await work()
  console.log('node', process.versions.node, 'worked')
}

if (!isMainThread) parentPort.postMessage(workerData.n ** 2)
else if (process.argv[2] === 'child')
  process.once('message', (m) => process.send(m.toUpperCase(), () => process.disconnect()))
else main().catch((error) => { console.error(error); process.exit(1) })
