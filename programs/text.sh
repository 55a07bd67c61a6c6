# SPDX-License-Identifier: MIT
# text.sh FILE: sorts, compresses and checks a large text with pipes and background processes. For busybox's sh.
file=$1
here=$(mktemp -d)
cd "$here" || exit 1

echo "$(wc -l < "$file") lines, $(wc -c < "$file") bytes, md5 $(md5sum < "$file" | cut -c 1-12)"

echo "the most frequent words:"
tr -cs 'A-Za-z' '\n' < "$file" | tr a-z A-Z | sort | uniq -c | sort -k1,1rn -k2 | head -n 5

# Every part is sorted by a process of its own, at the same time.
lines=$(wc -l < "$file")
awk -v size=$((lines / 4 + 1)) '{ print > ("part." int((NR - 1) / size)) }' "$file"
for part in part.*; do
	sort "$part" > "sorted.$part" &
done
wait
sort -m sorted.part.* > merged
sort "$file" > whole
cmp merged whole && echo "sorted in four parts and merged: the same as sorted at once"

for way in gzip bzip2; do
	$way -c < whole > packed
	case $way in
	gzip) gunzip -c < packed > unpacked ;;
	*) bunzip2 -c < packed > unpacked ;;
	esac
	cmp whole unpacked && echo "$way: $(wc -c < packed) bytes, unpacked and compared: the same"
done

i=0
while [ $i -lt 100 ]; do
	(echo $i | md5sum)
	i=$((i + 1))
done | sort | sha256sum | sed 's/^\(.\{16\}\).*/100 processes that sum: \1/'

cd /
rm -r "$here"
