"""Drives a login by paramiko:  paramiko-client.py HOST PORT USER KEYFILE HOSTKEY-LINE FORWARD-PORT

HOSTKEY-LINE is "type base64". Prints what it saw as JSON.
"""

import base64
import hashlib
import json
import os
import socket
import sys
import threading

import paramiko

host, port, user, key_file, host_key, forward_port = sys.argv[1:]
seen = {}

client = paramiko.SSHClient()
key_type, blob = host_key.split()
known = paramiko.Ed25519Key(data=base64.b64decode(blob))
client.get_host_keys().add(f"[{host}]:{port}", key_type, known)
client.set_missing_host_key_policy(paramiko.RejectPolicy())
client.connect(host, int(port), user, key_filename=key_file, allow_agent=False, look_for_keys=False)
transport = client.get_transport()
seen["cipher"] = transport.remote_cipher

# A command, which paramiko waits for the reply to.
stdin, stdout, stderr = client.exec_command("cat; echo error >&2; exit 37")
payload = os.urandom(3_000_000)
writer = threading.Thread(target=lambda: (stdin.write(payload), stdin.channel.shutdown_write()))
writer.start()
seen["echoed"] = stdout.read() == payload
writer.join()
seen["error"] = stderr.read().decode()
seen["exit"] = stdout.channel.recv_exit_status()

# As JetBrains does: on a terminal, with both streams in one.
channel = transport.open_session()
channel.get_pty("xterm", 132, 43)
channel.set_combine_stderr(True)
channel.exec_command("uname -s; echo error >&2; stty size")
seen["terminal"] = channel.makefile().read().decode()
seen["terminalExit"] = channel.recv_exit_status()

# SFTP, with many reads in flight, while keys are exchanged again and again.
sftp = client.open_sftp()
done = threading.Event()


def rekey():
    while not done.wait(0.15):
        transport.renegotiate_keys()


keys = threading.Thread(target=rekey)
keys.start()
data = os.urandom(8_000_000)
with sftp.open("/tmp/by-paramiko", "wb") as file:
    file.set_pipelined(True)
    file.write(data)
with sftp.open("/tmp/by-paramiko", "rb") as file:
    file.prefetch()
    seen["sftp"] = hashlib.sha256(file.read()).digest() == hashlib.sha256(data).digest()
done.set()
keys.join()
sftp.posix_rename("/tmp/by-paramiko", "/tmp/renamed")
seen["size"] = sftp.stat("/tmp/renamed").st_size
sftp.remove("/tmp/renamed")

# As open-remote-ssh does: forwardOut.
channel = transport.open_channel("direct-tcpip", ("127.0.0.1", int(forward_port)), ("127.0.0.1", 0))
channel.sendall(b"Axyz")
channel.shutdown_write()
answer = b""
while chunk := channel.recv(4096):
    answer += chunk
seen["forward"] = answer.decode().split()[0]

try:
    transport.open_channel("direct-tcpip", ("10.0.0.1", 22), ("127.0.0.1", 0))
except paramiko.ChannelException as error:
    seen["refused"] = error.code

# A port inside that leads here, asked for with 0. Not read by "cat": see asyncssh-client.py.
got = transport.request_port_forward("127.0.0.1", 0)
_, stdout, _ = client.exec_command(f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{got}; dd 2>/dev/null <&3'")
incoming = transport.accept(10)
incoming.sendall(b"from here")
incoming.close()
seen["reverse"] = stdout.read().decode()
transport.cancel_port_forward("127.0.0.1", got)

_, stdout, _ = client.exec_command("kill -TERM $$")
seen["signal"] = stdout.channel.recv_exit_status()
client.close()
print(json.dumps(seen))
