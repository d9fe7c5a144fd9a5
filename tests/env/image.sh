# image.sh DIR TAR: makes the root file system of a container out of /opt/inner, as a directory and as a tar file. It has no /usr: that one is
# mounted into every container as it is, so an image is made, imported and thrown away in no time.
set -eu
mkdir -p "$1"
cd "$1"
cp -a /opt/inner/etc /opt/inner/home /opt/inner/root .
mkdir -p usr proc sys dev run opt srv mnt var/log var/lib var/cache var/mail var/spool
for d in /opt/inner/bin /opt/inner/sbin /opt/inner/lib*; do
	cp -a "$d" . # links into /usr
done
mkdir -m 1777 tmp var/tmp
ln -s /run var/run
ln -s /run/lock var/lock
cat >init <<'S'
#!/bin/sh
# Collects the dead, and ends when it is asked to.
trap 'exit 0' TERM INT PWR
while :; do
	sleep 2147483647 &
	wait
done
S
chmod 755 init
tar -cf "$2.new" .
mv "$2.new" "$2"
