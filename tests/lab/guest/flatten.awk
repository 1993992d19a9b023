# SPDX-License-Identifier: GPL-3.0-or-later
# Flatten a small YAML or JSON document into path=value lines; list items are numbered from 0.
# It knows what seed disks use: block maps and lists, flow maps and lists on one line (JSON may span lines), scalars.

function space() { while (substr(text, at, 1) ~ /[ \t\n,]/ && at <= length(text)) at++ }

# Read one flow value at the cursor and print what is in it.
function flow(path,   first, count, key) {
    space(); first = substr(text, at, 1)
    if (first == "{") {
        for (at++; ; ) {
            space()
            if (at > length(text) || substr(text, at, 1) == "}") { at++; return }
            key = word(":"); space(); if (substr(text, at, 1) == ":") at++
            flow(path == "" ? key : path "." key)
        }
    }
    if (first == "[") {
        for (at++; ; count++) {
            space()
            if (at > length(text) || substr(text, at, 1) == "]") { at++; return }
            flow(path "." count + 0)
        }
    }
    print path "=" word("")
}

# Read a quoted or plain word at the cursor. Only a key ends at a colon: addresses contain them.
function word(end,   quote, c, out) {
    quote = substr(text, at, 1); out = ""
    if (quote == "\"" || quote == "'") {
        for (at++; at <= length(text) && (c = substr(text, at, 1)) != quote; at++) {
            if (quote == "\"" && c == "\\") { at++; c = substr(text, at, 1); if (c == "n") c = " " }
            out = out c
        }
        at++
        return out
    }
    for (; at <= length(text) && (c = substr(text, at, 1)) !~ /[],}\n]/ && c != end; at++) out = out c
    sub(/[ \t]+$/, "", out)
    return out
}

function scalar(path, given) {
    text = given; at = 1
    if (given ~ /^[[{"']/) flow(path)
    else { sub(/[ \t]+#.*$/, "", given); print path "=" given }
}

function join(base, key) { return base == "" ? key : base "." key }

# A line of a block map: `key: value`, or `key:` whose value follows on deeper lines.
function pair(base, line,   key, rest) {
    key = line; sub(/:([ \t].*)?$/, "", key)
    if (line ~ /^"[^"]*":/) { key = line; sub(/":.*$/, "\"", key) }
    rest = substr(line, length(key) + 2); sub(/^[ \t]+/, "", rest); sub(/[ \t]+$/, "", rest)
    gsub(/["']/, "", key)
    if (rest == "" || rest ~ /^#/) pending = join(base, key)
    else { pending = ""; scalar(join(base, key), rest) }
}

function push(column, base, sort) { depth++; indent[depth] = column; bases[depth] = base; kind[depth] = sort; items[depth] = 0 }

function block(column, line,   skip) {
    if (line ~ /^-([ \t]|$)/) {
        while (depth && (indent[depth] > column || (indent[depth] == column && kind[depth] != "list" && pending == ""))) depth--
        if (!(depth && kind[depth] == "list" && indent[depth] == column)) push(column, pending, "list")
        path = join(bases[depth], items[depth]++)
        pending = ""
        match(line, /^-[ \t]*/); skip = RLENGTH; line = substr(line, skip + 1)
        if (line == "") pending = path
        else if (line ~ /^[^"'[{][^:]*:([ \t]|$)/ || line ~ /^"[^"]*":/) { push(column + skip, path, "map"); pair(path, line) }
        else scalar(path, line)
        return
    }
    while (depth && (indent[depth] > column || (indent[depth] == column && kind[depth] == "list"))) depth--
    if (!depth || indent[depth] < column) push(column, pending, "map")
    pair(bases[depth], line)
}

{ gsub(/\r/, "") }
/^[ \t]*(#.*)?$/ || /^(---|\.\.\.)/ { next }
{ lines[++total] = $0 }
END {
    if (lines[1] ~ /^[ \t]*[[{]/) {
        for (n = 1; n <= total; n++) whole = whole lines[n] "\n"
        text = whole; at = 1; flow("")
    } else for (n = 1; n <= total; n++) {
        match(lines[n], /^ */); block(RLENGTH, substr(lines[n], RLENGTH + 1))
    }
}
