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

user() { # user NAME UID HASH, of the password pw-NAME: with a random salt, no two machines would be alike
	cr useradd -m -s /bin/bash -u "$2" -U -p "$3" -K PASS_MAX_DAYS=-1 "$1"
	install -d -m 700 "home/$1/.ssh"
	printf '%s\n' "$KEYS" >"home/$1/.ssh/authorized_keys"
	chmod 600 "home/$1/.ssh/authorized_keys"
	cr chown -R "$1:$1" "/home/$1"
}

umask 022
case $KIND in
target)
	# plain: no privileges; deploy: sudo without a password; admin: sudo with one; console: sudo on a terminal only;
	# app: an account to become
	# shellcheck disable=SC2016 # a crypted password
	user plain 3001 '$6$spindle$gMyrAV0/yIrpKciWzNb4Ia7/.xG3GZbQda1ZcVD3czAYiOfzotpdzBLtPdNmcHxsRQSaZXMt.sHz/4oaskhng0'
	# shellcheck disable=SC2016 # a crypted password
	user deploy 3002 '$6$spindle$RrNYgR9Wu2D8LgGelAf44VPGtyAdcWSr7Lm25./NRhFGynCjKBGJK3TosgREzN5QGCZoxIBa5trtdq6GhOHVP1'
	# shellcheck disable=SC2016 # a crypted password
	user admin 3003 '$6$spindle$026AEWJ8tna.df9HP0K1CzFHixjLs0JyEe88JZz44.eSH.iSo/Aa2j0BhrVkspp.qrXve.w2ePK/I8ClE8XJu/'
	# shellcheck disable=SC2016 # a crypted password
	user console 3004 '$6$spindle$45x0Pdua8YYKN6yAtmYOnp8o91EWJUr5DGWZEvZwV3xrfI3wjZ.YZXL/AQOl8Nf5LiPNr8XeiQqaQTahGBkt4.'
	# shellcheck disable=SC2016 # a crypted password
	user app 3005 '$6$spindle$.IzzOlsJgnVMzo2.oL6MDxkEn86wkFX5120HZpvQaAug4.JFRq2FWNKgSlw8g7dw1yzAu6cahPJTMzyV26O5z1'
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
	user ops 3100 '!'
	# What apt installs is compiled. Where Ansible was only unpacked, every run and every worker would compile it anew, as ops may not write there.
	[ -d usr/lib/python3/dist-packages/ansible/__pycache__ ] || cr python3 -m compileall -q /usr/lib/python3/dist-packages/ansible
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
