#!/bin/bash
# What agents do with git: commits, branches, local clones and pushes, maintenance.
set -euo pipefail
git config --global user.name agent
git config --global user.email agent@localhost
git init -q -b main first
cd first
for n in $(seq 30); do echo "line $n" >"file$n"; done
git add . && git commit -q -m first
git switch -q -c side && echo side >>file1 && git commit -q -am side
git switch -q main && echo main >>file2 && git commit -q -am main
git merge -q -m merge side
echo changed >>file3 && git stash -q && git stash pop -q && git checkout -q file3
git tag -a v1 -m v1
cd ..
git clone -q --bare first bare.git
git clone -q "file://$PWD/bare.git" second
cd second
touch more && git add more && git commit -q -m more && git push -q
git rebase -q HEAD~1 && git log --oneline --graph | cat >/dev/null
git worktree add -q ../tree HEAD~1
git gc -q && git fsck --no-progress && git diff --stat HEAD~1 | cat >/dev/null
git grep -q side && git archive --format=tar.gz HEAD >../archive.tgz && git bundle create -q ../all.bundle --all
test "$(git -C ../bare.git rev-list --count main)" = 5
echo git worked
