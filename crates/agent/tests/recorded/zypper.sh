#!/bin/sh
# zypper.sh DIR: packages, repositories of them under DIR, and zypper set up to use the first one. For a throw-away copy
# of a machine: the program zypper becomes one that ends with CODE where it is told `--fake-rc=CODE`.
set -e
W=$1
mkdir -p "$W/spec" "$W/repo"
package() { # name, version, more of its head, more at its end
    cat > "$W/spec/$1-$2.spec" <<SPEC
Name: $1
Version: $2
Release: 1
Summary: $1
License: MIT
BuildArch: noarch
$3
%description
$1
%install
mkdir -p %{buildroot}/opt/ztest
echo $2 > %{buildroot}/opt/ztest/$1
%files
/opt/ztest/$1
$4
SPEC
    rpmbuild -bb --quiet --define "_rpmdir $W/repo" --define "_topdir $W/top" "$W/spec/$1-$2.spec" > "$W/rpmbuild.log" 2>&1
}
# Debian's rpm has a database of its own for each user; libzypp has this one.
mkdir -p /etc/rpm && echo "%_dbpath /var/lib/rpm" > /etc/rpm/macros
# libzypp takes a system without these for broken.
package glibc 2.36 "Provides: /bin/sh"
package zlib-one 1.0
package zlib-one 2.0
package zlib-two 1.0 "Requires: zlib-one"
package zlib-three 1.0 "Recommends: zlib-rec"
package zlib-rec 1.0
package zlib-broken 1.0 "Requires: nothing-has-this"
package zlib-post 1.0 "" "%post
exit 1"
package zlib-conf-a 1.0 "Conflicts: zlib-conf-b"
package zlib-conf-b 1.0
package zypp-old 1.0
package zypp-old 2.0
createrepo_c -q "$W/repo"
cat > "$W/updateinfo.xml" <<XML
<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="a@b" status="stable" type="security" version="1"><id>zpatch-1</id><title>zpatch</title><release>z</release><issued date="1600000000"/><severity>important</severity><description>d</description><references/>
<pkglist><collection short=""><name>z</name><package name="zypp-old" version="2.0" release="1" arch="noarch" epoch="0" src=""><filename>zypp-old-2.0-1.noarch.rpm</filename></package></collection></pkglist></update></updates>
XML
modifyrepo_c --mdtype=updateinfo "$W/updateinfo.xml" "$W/repo/repodata" > "$W/modifyrepo.log" 2>&1
cp -r "$W/repo" "$W/repo2"
printf '[f1]\nname=file one\nenabled=0\npriority=5\nbaseurl=dir:%s/repo2\n' "$W" > "$W/one.repo"
printf '[f2]\nname=file two\nbaseurl=dir:%s/repo2\nautorefresh=0\ngpgcheck=0\n' "$W" > "$W/two.repo"
printf '[f3]\nname=x\nmirrorlist=http://127.0.0.1:1/b\n' > "$W/three.repo"
printf 'nonsense' > "$W/four.repo"
printf '[m1]\nbaseurl=dir:%s/repo2\n\n[m2]\nbaseurl=http://127.0.0.1:1/x\n' "$W" > "$W/both.repo"
rm -f /etc/zypp/repos.d/*
printf '[zt]\nname=zt\nenabled=1\nautorefresh=0\nbaseurl=dir:%s/repo\ngpgcheck=0\n' "$W" > /etc/zypp/repos.d/zt.repo
mv /usr/bin/zypper /usr/bin/zypper.real
cat > /usr/bin/zypper <<'FAKE'
#!/bin/sh
for word in "$@"; do
    shift
    case $word in
        --fake-rc=*) code=${word#--fake-rc=} ;;
        *) set -- "$@" "$word" ;;
    esac
done
/usr/bin/zypper.real "$@" || is=$?
case " $* " in *" search "*) code= ;; esac
exit "${code:-${is:-0}}"
FAKE
chmod 0755 /usr/bin/zypper
