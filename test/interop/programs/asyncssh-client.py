"""Drives a login by asyncssh:  asyncssh-client.py HOST PORT USER KEYFILE KNOWN-HOSTS FORWARD-PORT

Prints what it saw as JSON.
"""

import warnings

warnings.filterwarnings("ignore")

import asyncio
import json
import os
import sys

import asyncssh

host, port, user, key_file, known_hosts, forward_port = sys.argv[1:]


async def echo_over(connection, number):
    payload = os.urandom(200_000 + number)
    async with connection.create_process("cat", encoding=None) as process:
        process.stdin.write(payload)
        process.stdin.write_eof()
        return await process.stdout.read() == payload


class Seen(dict):
    """Says on standard error how far it came, for whoever has to find out where it stopped."""

    def __setitem__(self, name, value):
        super().__setitem__(name, value)
        print(f"seen: {name}", file=sys.stderr, flush=True)


async def main():
    seen = Seen()
    banners = []

    class Client(asyncssh.SSHClient):
        def auth_banner_received(self, message, lang):
            banners.append(message)

    options = dict(username=user, client_keys=[key_file], known_hosts=known_hosts, rekey_bytes=1_000_000, agent_path=None)
    connection, _ = await asyncssh.create_connection(Client, host, int(port), config=[], **options)
    seen["banners"] = len(banners)
    seen["mac"] = connection.get_extra_info("recv_mac")
    ran = await connection.run("echo out; echo error >&2; exit 41")
    seen["run"] = [ran.stdout, ran.stderr, ran.exit_status]
    ran = await connection.run("kill -TERM $$")
    seen["signal"] = [ran.exit_status, ran.exit_signal[0]]
    seen["parallel"] = all(await asyncio.gather(*(echo_over(connection, number) for number in range(20))))

    # A signal sent by the client, which reaches the program. RFC 4254 section 6.9.
    async with connection.create_process("trap 'echo caught; exit 3' USR1; echo up; while :; do sleep 0.02; done") as process:
        await process.stdout.readline()
        process.send_signal("USR1")
        seen["sent"] = [await process.stdout.read(), (await process.wait()).exit_status]

    async with connection.create_process(term_type="xterm", term_size=(100, 40)) as process:
        process.stdin.write("stty -echo; stty size; echo READY\n")
        text = ""
        while "\nREADY" not in text.replace("\r", ""):
            text += await process.stdout.read(1024)
        process.change_terminal_size(120, 50)
        process.stdin.write("stty size; exit 7\n")
        text += await process.stdout.read()
        seen["terminal"] = ["40 100" in text, "50 120" in text, (await process.wait()).exit_status]

    async with connection.start_sftp_client() as sftp:
        data = os.urandom(6_000_000)
        async with sftp.open("/tmp/by-asyncssh", "wb") as file:
            await file.write(data)
        async with sftp.open("/tmp/by-asyncssh", "rb") as file:
            seen["sftp"] = await file.read() == data
        await sftp.remove("/tmp/by-asyncssh")

    reader, writer = await connection.open_connection("localhost", int(forward_port))
    writer.write(b"Axyz")
    writer.write_eof()
    seen["forward"] = (await reader.read()).decode().split()[0]
    try:
        await connection.open_connection("10.0.0.1", 22)
    except asyncssh.ChannelOpenError as error:
        seen["refused"] = [error.code, error.reason]

    async def serve(reader, writer):
        writer.write(b"from here")
        writer.close()

    listener = await connection.start_server(lambda *_: serve, "localhost", 0)
    # Not by "cat": that of BusyBox has the kernel move what comes from the connection to the pipe that is its output, which
    # keeps the pipe locked while it waits. The sshd at the other end of both waits for itself then.
    ran = await connection.run(f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{listener.get_port()}; dd 2>/dev/null <&3'")
    seen["reverse"] = ran.stdout
    connection.close()
    await connection.wait_closed()
    print(json.dumps(seen))


asyncio.run(main())
