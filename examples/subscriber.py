"""A subscriber with nothing but pyzmq: prints alerts and section states. The rules it keeps are in docs/wire.md.

Usage: python examples/subscriber.py [ALERTS_ENDPOINT [REQUEST_ENDPOINT]]
"""

import json
import secrets
import sys
import time

import zmq

endpoints = sys.argv[1:3] + ["tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557"][len(sys.argv) - 1 :]
alerts, requests = zmq.Context.instance().socket(zmq.SUB), zmq.Context.instance().socket(zmq.DEALER)
requests.setsockopt(zmq.IMMEDIATE, 1)  # a nonce is not kept for a publisher that is not there
alerts.connect(endpoints[0])
requests.connect(endpoints[1])
alerts.subscribe("alert/")
alerts.subscribe("status/")
sent_s, shown, until_s = {}, {}, 0.0  # when each nonce was sent; the states on the screen, and how long they hold
while True:
    nonce = secrets.token_urlsafe(16)
    if requests.poll(0, zmq.POLLOUT):
        sent_s = dict([*sent_s.items(), (nonce, time.monotonic())][-10:])
        requests.send_multipart([b"NONCE", nonce.encode()])
    topic, payload = alerts.recv_multipart() if alerts.poll(500) else (b"", b"{}")
    message, now_s, states = json.loads(payload), time.monotonic(), shown
    if topic.startswith(b"alert/"):
        print("ALERT", message["seq"], message["severity"], message["action"], message["section_id"], flush=True)
    elif topic.startswith(b"status/"):  # CLEAR only with our own nonce, and for a lease from its sending
        echoes_s = [sent_s[nonce] for nonce in message["nonces"] if nonce in sent_s]
        until_s = max([until_s, *(at_s + min(2.5, message["lease_s"]) for at_s in echoes_s)])
        states = message["sections"]
        if not echoes_s:
            states = {name: shown.get(name, "UNKNOWN") if state == "CLEAR" else state for name, state in states.items()}
    states = {name: state if now_s < until_s else "UNKNOWN" for name, state in states.items()}
    if states != shown:
        print("SECTIONS", states, flush=True)
    shown = states
