// Standard input to HOST PORT through a SOCKS proxy, and the answer to standard output.
// node client.js PROXY_HOST PROXY_PORT 4|5 HOST PORT
const { SocksClient } = require('socks');

const [proxyHost, proxyPort, version, host, port] = process.argv.slice(2);

SocksClient.createConnection({
    command: 'connect',
    proxy: { host: proxyHost, port: Number(proxyPort), type: Number(version) },
    destination: { host, port: Number(port) },
}).then(({ socket }) => {
    socket.pipe(process.stdout);
    process.stdin.pipe(socket);
}).catch((error) => {
    console.error(error.message);
    process.exit(1);
});
