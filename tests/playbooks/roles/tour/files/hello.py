import sys

sys.stdout.write("hello %s\n" % sys.argv[1:])
