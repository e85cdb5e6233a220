"""Stands in for `kubectl port-forward` where the real one cannot be made to do a thing at a certain moment.

Run as a program: `stand_in.py POD HOW LOG`. It prints kubectl's real lines, listens where kubectl would, and does HOW:

    echo      sends back what it gets; at the client's end says the pod's name and closes
    pod       reads a line, answers with the pod's name and closes, unless the line says something else (below)
    greet     says the pod's name at once, then does as echo does
    pour      sends bytes without end, and notes in LOG how many it got rid of
    deaf      never reads
    refuse    cannot dial the pod
    exit      ends before it listens, as where there is no such pod
    forbidden likewise, as the user may not forward ports

Lines that `pod` knows: `hold` (keeps the connection, no answer), `refuse` (as above, while those that hold are cut),
`die` (ends, nothing said), `reset` (the pod resets the connection, which ends kubectl), `half` (half an answer, then
it is killed), `empty` (closes without an answer). Each line that a pod gets is added to LOG.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))]

from tests.unit.cluster.samples import FORBIDDEN, LOST, NO_POD, REFUSED_33, RESET_33  # noqa: E402


def main(pod: str, how: str, log: str) -> None:
    if how == "exit":
        print(NO_POD, file=sys.stderr)
        sys.exit(1)
    if how == "forbidden":
        print(FORBIDDEN, file=sys.stderr)
        sys.exit(1)
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"Forwarding from 127.0.0.1:{listening.getsockname()[1]} -> 8080", flush=True)
    while True:
        connection, _ = listening.accept()
        print(f"Handling connection for {listening.getsockname()[1]}", flush=True)
        threading.Thread(target=serve, args=(connection, pod, how, log), daemon=True).start()


def serve(connection: socket.socket, pod: str, how: str, log: str) -> None:
    if how == "refuse":
        end(REFUSED_33)
    elif how == "wedge":
        print(REFUSED_33, file=sys.stderr, flush=True)
        threading.Event().wait()
    elif how == "deaf":
        threading.Event().wait()
    elif how == "pour":
        pour(connection, log)
    elif how == "pod":
        answer(connection, pod, log)
    else:
        if how == "greet":
            connection.sendall(pod.encode() + b"\n")
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.sendall(pod.encode())
        connection.close()


def answer(connection: socket.socket, pod: str, log: str) -> None:
    line = b""
    while not line.endswith(b"\n"):
        data = connection.recv(65536)
        if not data:
            break
        line += data
    word = line.decode().strip()
    note(log, f"{pod} {word[:20]}")
    if word == "hold":
        threading.Event().wait()
    elif word == "refuse":
        end(REFUSED_33)
    elif word == "reset":
        end(RESET_33)
    elif word == "die":
        end("")
    elif word == "half":
        connection.sendall(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    elif word != "empty":
        connection.sendall(pod.encode())
    connection.shutdown(socket.SHUT_RDWR)


def pour(connection: socket.socket, log: str) -> None:
    block = b"x" * 65536
    sent = 0
    total = os.open(log + ".poured", os.O_WRONLY | os.O_CREAT)
    while True:
        sent += connection.send(block)
        os.pwrite(total, f"{sent:020}".encode(), 0)  # at once: it is read at any moment


def end(line: str) -> None:
    if line:
        print(line, file=sys.stderr)
    print(LOST, file=sys.stderr, flush=True)
    os._exit(1)


def note(log: str, line: str) -> None:
    with open(log, "a") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
