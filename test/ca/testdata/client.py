"""client.py ROOT [PORT NAME]...: a line for each server at PORT of the loopback: "ok" if it is believed to be NAME, else why not."""
import socket
import ssl
import sys

root, *rest = sys.argv[1:]
context = ssl.create_default_context(cafile=root)
context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 has it by default
for port, name in zip(rest[::2], rest[1::2]):
    with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as conn:
        try:
            with context.wrap_socket(conn, server_hostname=name):
                print("ok")
        except ssl.SSLError as err:
            print(" ".join(str(err).split()))
