"""A name server that gives every name the same address."""
import socket
import struct

ADDRESS = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x0a\1\2\3"

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.53", 53))
while True:
    query, client = server.recvfrom(512)
    end = query.index(b"\0", 12) + 5
    answer = ADDRESS if query[end - 4:end - 2] == b"\0\1" else b""
    server.sendto(query[:2] + b"\x81\x80\0\1" + struct.pack(">H", bool(answer)) + b"\0\0\0\0" + query[12:end] + answer, client)
