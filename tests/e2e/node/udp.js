// One datagram to HOST PORT through a SOCKS5 proxy's association, and the answer to standard output.
// node udp.js PROXY_HOST PROXY_PORT HOST PORT TEXT
const dgram = require('dgram');
const { SocksClient } = require('socks');

const [proxyHost, proxyPort, host, port, text] = process.argv.slice(2);

const client = new SocksClient({
    command: 'associate',
    proxy: { host: proxyHost, port: Number(proxyPort), type: 5 },
    destination: { host: '0.0.0.0', port: 0 },
});

client.on('established', ({ socket, remoteHost: relay }) => {
    const udp = dgram.createSocket('udp4');
    udp.on('message', (message) => {
        const { remoteHost, data } = SocksClient.parseUDPFrame(message);
        process.stdout.write(`${remoteHost.host} ${remoteHost.port} ${data}`);
        udp.close();
        socket.destroy();
    });
    udp.send(SocksClient.createUDPFrame({ remoteHost: { host, port: Number(port) }, data: Buffer.from(text) }),
        relay.port, relay.host);
});
client.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
});
client.connect();
