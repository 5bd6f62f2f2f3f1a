#!/usr/bin/env python3
"""A stand-in for `docker`: a client whose containers are no children of its own, as with the real one.

A container is a process in a session of its own; its image is a Python program, and what is mounted at a place is found by the
arguments that begin with it. DOCKER_HOME has a file of each, named by its number. As with the real one, the number is written
down before the container begins, the file must not be there yet, a request to end is passed on to a container that has --init,
and a client that is killed leaves its container at work.
"""

import os
import secrets
import signal
import subprocess
import sys
import time

HOME = os.environ["DOCKER_HOME"]
FLAGS = ("--rm", "--interactive", "--init")


def parsed(words):
    flags, values = set(), {}
    while words[0].startswith("-"):
        word = words.pop(0)
        if word in FLAGS:
            flags.add(word)
        else:
            values[word] = words.pop(0)
    return flags, values, words


def create(values):
    number = secrets.token_hex(32)
    with open(values["--cidfile"], "x", encoding="utf-8") as file:
        file.write(number)
    return number


def begin(number, values, words):
    here, there, *_ = values["-v"].split(":")
    words = [here + word[len(there) :] if word.startswith(there) else word for word in words]
    output = open(os.path.join(HOME, number + ".out"), "wb")
    inside = {"PATH": os.environ["PATH"], "CONTAINER_USER": values["--user"]}
    child = subprocess.Popen(["python3", *words], stdout=output, env=inside, start_new_session=True)
    with open(os.path.join(HOME, number), "w", encoding="utf-8") as file:
        file.write(str(child.pid))
    return child


def follow(number, child):
    with open(os.path.join(HOME, number + ".out"), "rb") as output:
        is_over = False
        while not is_over:
            is_over = child.poll() is not None
            while piece := output.read(65536):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            time.sleep(0.01)


def run(words):
    flags, values, words = parsed(words)
    number = create(values)
    child = begin(number, values, words)
    if "--init" in flags:
        signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    follow(number, child)
    if "--rm" in flags:
        os.remove(os.path.join(HOME, number))
    sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)


def remove(number):
    path = os.path.join(HOME, number)
    if not os.path.exists(path):
        sys.exit(f"Error response from daemon: No such container: {number}")
    with open(path, encoding="utf-8") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    os.remove(path)


def main():
    if os.path.exists(os.path.join(HOME, "down")):
        sys.exit("Cannot connect to the Docker daemon. Is the docker daemon running?")
    match sys.argv[1:]:
        case ["run", *words]:
            run(words)
        case ["rm", "--force", number]:
            remove(number)
        case ["ps", "--all", "--quiet", "--filter", wanted]:
            number = wanted.removeprefix("id=")
            print(number if os.path.exists(os.path.join(HOME, number)) else "")


main()
