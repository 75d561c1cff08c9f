// BIND for HOST through a SOCKS proxy: prints the port that is open, then who came, then what that sends.
// node bind.js PROXY_HOST PROXY_PORT 4|5 HOST
const { SocksClient } = require('socks');

const [proxyHost, proxyPort, version, host] = process.argv.slice(2);
const client = new SocksClient({
    command: 'bind',
    proxy: { host: proxyHost, port: Number(proxyPort), type: Number(version) },
    destination: { host, port: 21 },
});

client.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
});
client.on('bound', ({ remoteHost }) => console.log(`${remoteHost.host} ${remoteHost.port}`));
client.on('established', ({ socket, remoteHost }) => {
    console.log(`${remoteHost.host} ${remoteHost.port}`);
    socket.pipe(process.stdout);
    process.stdin.pipe(socket);
});
client.connect();
