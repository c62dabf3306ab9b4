#!/usr/bin/env bash
# Makes speech-and-silence.wav (16 kHz, mono, 16 bit) and speech-and-silence.json (what it is known to hold), with
# espeak-ng and sox from Debian: four sentences with pauses of known length, over a faint noise floor so that the silence
# is a room's and not a digital zero. The files are committed; this script says how they came to be.
set -euo pipefail
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

rate=16000
say() { espeak-ng -v en-us -s 150 -w "$tmp/raw.wav" "$2"; sox "$tmp/raw.wav" -r $rate -c 1 -b 16 "$tmp/$1.wav" silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse gain -n -6; }
say 1 'A skerry is a small rock island.'
say 2 'The tide comes in, and it stands by itself.'
say 3 'Nothing that it has learned is lost while it is alone.'
say 4 'The tide goes out, and it tells what it saw.'
pauses=(2.0 2.5 3.0 2.0 2.5)

parts=(); segments=''; at=0
for i in 0 1 2 3 4; do
  sox -n -r $rate -c 1 -b 16 "$tmp/pause$i.wav" trim 0 "${pauses[$i]}"
  parts+=("$tmp/pause$i.wav")
  at=$(echo "$at + ${pauses[$i]}" | bc)
  if [ "$i" -lt 4 ]; then
    parts+=("$tmp/$((i + 1)).wav")
    end=$(echo "$at + $(soxi -D "$tmp/$((i + 1)).wav")" | bc)
    segments+="${segments:+,}
    { \"from\": $(printf %.3f "$at"), \"to\": $(printf %.3f "$end") }"
    at=$end
  fi
done
sox "${parts[@]}" "$tmp/joined.wav"
sox -R -n -r $rate -c 1 -b 16 "$tmp/noise.wav" synth "$(soxi -D "$tmp/joined.wav")" pinknoise gain -60
sox -R -D -m -v 1 "$tmp/joined.wav" -v 1 "$tmp/noise.wav" -b 16 speech-and-silence.wav
cat > speech-and-silence.json <<EOF
{
  "file": "speech-and-silence.wav",
  "sampleRate": $rate,
  "seconds": $(soxi -D speech-and-silence.wav),
  "madeBy": "make-speech.sh",
  "speech": [$segments
  ]
}
EOF
