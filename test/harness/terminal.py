"""Runs a program on a terminal of its own:  python3 terminal.py PROGRAM [ARGUMENT]...

Standard input is a line of JSON for each act: {"send": "text"} types, {"rows": 24, "columns": 80} resizes, and the end of
it changes nothing. Standard output is what the program writes to its terminal. Ends as the program does.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios


def resize(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def act(terminal, line):
    order = json.loads(line)
    if "send" in order:
        os.write(terminal, order["send"].encode())
    if "rows" in order:
        resize(terminal, order["rows"], order["columns"])


pid, terminal = pty.fork()
if pid == 0:
    resize(0, 24, 80)
    os.execvp(sys.argv[1], sys.argv[1:])

sources, typed = [terminal, 0], b""
while terminal in sources:
    for source in select.select(sources, [], [])[0]:
        try:
            data = os.read(source, 65536)
        except OSError:  # EIO: the last program on the terminal has ended
            data = b""
        if not data:
            sources.remove(source)
        elif source == terminal:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            *lines, typed = (typed + data).split(b"\n")
            for line in lines:
                act(terminal, line)

sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
