#!/usr/bin/env python3
"""Times vlalign's loader on shards that a web server and an S3 server on this machine hand out, beside the same shards read locally.

  python3 tests/peers/stream_remote.py --data 'shards/{000..039}.tar' [--program build/bin/vlalign] [--delay 20] [--batches 40]
                                       [--batch-size 256] [--threads 2] [--rounds 3] [--only WORDS] [--ours "--aug basic"] [--s3-shards N]

Rows, each round one after the other, each with an empty cache: the local files; nginx; nginx with --delay milliseconds between a question
and its answer; moto's S3 server, which checks the signature (SigV4) of every request. Printed are medians, the ratio to the local row, and
beside each server what curl gets of it: a shard in one request, and four pieces of 1 MB, one after the other. All rows must give the same
digest. moto keeps the shards in its memory and its temporary files; --s3-shards takes the first N shards for its row, which is then
compared with a local row of the same shards. --only takes rows by parts of their names (local, nginx, delayed, s3).

The delay is made by a proxy of this script's own, since few machines have netem: it keeps what either side says for half the time, and a
connection's first question for the whole time more, as a handshake would.

Needs nginx and curl (Debian: nginx-light, curl) and a Python with 'moto[server]' and boto3. All servers listen on 127.0.0.1 only.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from stream_speed import check_digests, last_json, median, our_command, print_table, shards_of, wanted

NGINX = """
daemon off;
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/nginx.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_body_temp_path {work}/body;
  proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi;
  scgi_temp_path {work}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""
BUCKET = "shards"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for_port(process, port, what):
    for _ in range(300):
        if process.poll() is not None:
            sys.exit(f"{what} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"{what} doesn't listen on port {port}")


@contextlib.contextmanager
def server(command, port, what, log):
    with open(log, "w") as said:
        process = subprocess.Popen([str(word) for word in command], stdout=said, stderr=said)
    try:
        wait_for_port(process, port, f"{what} (see {log})")
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def nginx(root, work):
    """The address under which the folder's files are."""
    port = free_port()
    config = work / "nginx.conf"
    config.write_text(NGINX.format(work=work, port=port, root=root))
    user = ["-g", "user root;"] if os.getuid() == 0 else []  # so that it may read what this user may
    with server(["nginx", "-c", config, "-e", work / "nginx.log", *user], port, "nginx", work / "nginx.out"):
        yield f"http://127.0.0.1:{port}"


class Pipe:
    """Carries bytes from one socket to another, each some seconds after it came, and at most 32 MB on the way."""

    def __init__(self, source, target, seconds, first_seconds):
        self.source, self.target, self.seconds = source, target, seconds
        self.begin = time.monotonic() + first_seconds  # nothing leaves before
        self.on_their_way, self.size, self.changed = collections.deque(), 0, threading.Condition()
        for work in (self.take, self.deliver):
            threading.Thread(target=work, daemon=True).start()

    def take(self):
        data = b"-"
        while data:
            try:
                data = self.source.recv(1 << 18)
            except OSError:
                data = b""
            with self.changed:
                self.changed.wait_for(lambda: self.size < 32 << 20)
                self.on_their_way.append((max(self.begin, time.monotonic() + self.seconds), data))
                self.size += len(data)
                self.changed.notify_all()

    def deliver(self):
        data, hung_up = b"-", False
        while data:
            with self.changed:
                self.changed.wait_for(lambda: self.on_their_way)
                due, data = self.on_their_way.popleft()
            time.sleep(max(0, due - time.monotonic()))
            hung_up = hung_up or not self.hand_over(data)
            with self.changed:
                self.size -= len(data)
                self.changed.notify_all()

    def hand_over(self, data):
        """Whether the target took it; where it hung up nothing more is taken from the source."""
        try:
            self.target.sendall(data) if data else self.target.shutdown(socket.SHUT_WR)
        except OSError:
            with contextlib.suppress(OSError):
                self.source.shutdown(socket.SHUT_RD)
            return False
        return True


@contextlib.contextmanager
def delayed(address, milliseconds):
    """An address that answers as the given one does, later."""
    half = milliseconds / 2000
    target = int(address.rsplit(":", 1)[1])
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def accept():
        with contextlib.suppress(OSError):  # closed
            while True:
                near = listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", target))
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Pipe(near, far, half, 3 * half)
                Pipe(far, near, half, 0)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def keys_of_new_user(address):
    """A user of moto's who may do all with S3; from now on moto refuses what nobody has signed."""
    import boto3
    iam = boto3.client("iam", endpoint_url=address, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    iam.create_user(UserName="reader")
    iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    check_from_now_on = urllib.request.Request(f"{address}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    urllib.request.urlopen(check_from_now_on).close()
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"], "AWS_ENDPOINT_URL": address,
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def upload(shards, variables):
    import boto3
    client = boto3.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"], region_name=variables["AWS_REGION"],
                          aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"])
    client.create_bucket(Bucket=BUCKET)
    for shard in shards:
        with open(shard, "rb") as content:
            client.put_object(Bucket=BUCKET, Key=pathlib.Path(shard).name, Body=content)


def expect_refusal(address):
    """Without a signature; else it would prove nothing that a signed request is answered."""
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--range", "0-0", address]
    status = subprocess.run(command, capture_output=True, text=True).stdout
    if status != "403":
        sys.exit(f"moto answers {status} to a request without a signature; expected 403")


@contextlib.contextmanager
def s3(shards, work):
    """The variables that lead to moto's server with the shards in a bucket."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    with server(command, port, "moto", work / "moto.log"):
        variables = keys_of_new_user(f"http://127.0.0.1:{port}")
        upload(shards, variables)
        expect_refusal(f"{variables['AWS_ENDPOINT_URL']}/{BUCKET}/{pathlib.Path(shards[0]).name}")
        yield variables


def curl(address, sign, *more):
    """Megabytes that arrived, and seconds."""
    command = ["curl", "-sS", "--fail", "-o", "/dev/null", "-w", "%{size_download} %{time_total}\\n", *sign, *more, address]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"curl gets no {address}: {done.stderr.strip()}")
    size, seconds = done.stdout.split()
    return float(size) / 1e6, float(seconds)


def carries(name, address, shards, variables=None):
    """Prints what curl gets from a server."""
    sign = ["--aws-sigv4", "aws:amz:us-east-1:s3", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "--user",
            f"{variables['AWS_ACCESS_KEY_ID']}:{variables['AWS_SECRET_ACCESS_KEY']}"] if variables else []
    whole = [curl(f"{address}/{pathlib.Path(shard).name}", sign) for shard in shards[:4]]
    pieces = [curl(f"{address}/{pathlib.Path(shards[0]).name}", sign, "--range", f"{i << 20}-{(i + 1 << 20) - 1}") for i in range(4)]
    (size, seconds), (of_pieces, their_seconds) = (map(sum, zip(*part)) for part in (whole, pieces))
    print(f"curl from {name}: whole shards {size / seconds:.0f} MB/s; 1 MB in a request of its own {their_seconds / 4 * 1000:.0f} ms, "
          f"{of_pieces / their_seconds:.0f} MB/s", flush=True)


class Rounds:
    def __init__(self, flags, work):
        self.flags, self.cache, self.rows = flags, work / "cache", {}

    def add(self, name, data, variables=None):
        self.rows[name] = our_command(self.flags, data, "--cache", self.cache), {**os.environ, **(variables or {})}

    def run(self):
        results = {name: [] for name in self.rows}
        for number in range(self.flags.rounds):
            for name, (command, environment) in self.rows.items():
                shutil.rmtree(self.cache, ignore_errors=True)
                results[name].append(last_json(command, environment))
                print(f"round {number + 1}: {name}: {results[name][-1]['pictures_per_s']:.0f} pictures/s", file=sys.stderr, flush=True)
        return results


def braces(shards):
    """The names of a row of shards as one pattern; numbered ones are taken to have no gap."""
    first, last = (re.fullmatch(r"(.*?)(\d+)(\D*)", pathlib.Path(shard).name).groups() for shard in (shards[0], shards[-1]))
    return f"{first[0]}{{{first[1]}..{last[1]}}}{first[2]}"


def measure(flags, work, servers):
    shards = [str(pathlib.Path(shard).resolve()) for shard in shards_of(flags.data)]
    folder, in_s3 = pathlib.Path(shards[0]).parent, shards[:flags.s3_shards]
    rounds = Rounds(flags, work)
    rounds.add("local", f"{folder}/{braces(shards)}")
    if wanted(flags, "nginx") or wanted(flags, "delayed"):
        address = servers.enter_context(nginx(folder, work))
        carries("nginx", address, shards)
        if wanted(flags, "nginx"):
            rounds.add("nginx", f"{address}/{braces(shards)}")
    if wanted(flags, "delayed"):
        far = servers.enter_context(delayed(address, flags.delay))
        carries(f"nginx, {flags.delay:g} ms away", far, shards)
        rounds.add(f"delayed: nginx, {flags.delay:g} ms away", f"{far}/{braces(shards)}")
    if wanted(flags, "s3"):
        if len(in_s3) < len(shards):
            rounds.add("local, s3's shards", f"{folder}/{braces(in_s3)}")
        variables = servers.enter_context(s3(in_s3, work))
        carries("s3 (moto)", f"{variables['AWS_ENDPOINT_URL']}/{BUCKET}", in_s3, variables)
        rounds.add("s3 (moto)", f"s3://{BUCKET}/{braces(in_s3)}", variables)
    return rounds.run()


def report(results):
    """A table for each set of shards: s3 may have fewer than the rest."""
    fewer = "local, s3's shards" in results
    small = {name: rows for name, rows in results.items() if fewer and "s3" in name}
    for table, local in (({name: rows for name, rows in results.items() if name not in small}, "local"), (small, "local, s3's shards")):
        if table:
            rate = median(table, local, "pictures_per_s")
            print_table(table, "of the local rate", lambda its, rate=rate: f"{its / rate:.2f}")
            check_digests(table, list(table))
    print("all digests of the same shards are the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--program", type=pathlib.Path, default=pathlib.Path("build/bin/vlalign"))
    parser.add_argument("--delay", type=float, default=20, help="milliseconds there and back")
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--ours", default="--aug basic", help="more words for vlalign bench loader")
    parser.add_argument("--s3-shards", type=int, help="only so many shards for S3")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as servers:
        report(measure(flags, pathlib.Path(work), servers))


if __name__ == "__main__":
    main()
