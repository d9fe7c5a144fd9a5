# Run in a private mount namespace: lays the users and keys of the tests over a root file system, once for all machines
# that share the root. The environment gives ROOT, LAYER, WORK, POINT, KEYS (authorized_keys lines) and KIND.
set -eu
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$LAYER,workdir=$WORK" "$POINT"
cd "$POINT"
mount -t tmpfs tmpfs dev
for x in null zero random urandom; do
	: >dev/$x
	mount --bind /dev/$x dev/$x
done
cr() { PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . "$@"; }

user() { # user NAME UID PASSWORD
	id=$2
	cr useradd -m -s /bin/bash -u "$id" -U "$1"
	[ -z "$3" ] || echo "$1:$3" | cr chpasswd -c SHA512
	install -d -m 700 "home/$1/.ssh"
	printf '%s\n' "$KEYS" >"home/$1/.ssh/authorized_keys"
	chmod 600 "home/$1/.ssh/authorized_keys"
	cr chown -R "$1:$1" "/home/$1"
}

umask 022
case $KIND in
target)
	user plain 3001 pw-plain   # a password, no privileges
	user deploy 3002 pw-deploy # sudo without a password
	user admin 3003 pw-admin   # sudo with a password
	user console 3004 pw-console # sudo without a password, on a terminal only
	user app 3005 pw-app       # an account to become
	mkdir -p etc/sudoers.d
	cat >etc/sudoers.d/spindle-tests <<'S'
deploy ALL=(ALL:ALL) NOPASSWD: ALL
admin ALL=(ALL:ALL) ALL
console ALL=(ALL:ALL) NOPASSWD: ALL
Defaults:console requiretty
Defaults:admin timestamp_timeout=0
Defaults:admin passwd_tries=3
S
	chmod 440 etc/sudoers.d/spindle-tests
	if [ -e usr/bin/doas ]; then
		printf 'permit admin\npermit nopass deploy\n' >etc/doas.conf
		chmod 600 etc/doas.conf
	fi
	# A target has no Ansible of its own: what a module imports must have come over the wire.
	rm -rf usr/lib/python3/dist-packages/ansible* usr/local/lib/python3*/dist-packages/ansible* usr/bin/ansible*
	cat >etc/ssh/spindle-tests.conf <<'S'
HostKey /etc/ssh/spindle-tests.key
AuthorizedKeysFile .ssh/authorized_keys
UsePAM yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
PubkeyAuthentication yes
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
PidFile none
MaxSessions 200
MaxStartups 400:30:600
Subsystem sftp internal-sftp
AcceptEnv LANG LC_*
LogLevel INFO
S
	;;
controller)
	user ops 3100 ""
	;;
esac
mkdir -p root/.ssh
printf '%s\n' "$KEYS" >root/.ssh/authorized_keys
chmod 700 root root/.ssh
chmod 600 root/.ssh/authorized_keys
# No machine waits for a name server, a mail program or a login message that is not there.
rm -f etc/resolv.conf etc/update-motd.d/* etc/cron.d/* etc/profile.d/*
: >etc/resolv.conf
rm -f etc/ssh/ssh_config.d/* root/.bashrc root/.profile
printf '127.0.0.1 localhost\n' >etc/hosts
