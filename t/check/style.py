"""Checks the C sources: nginx's style, and who may depend on whom.

usage: style.py ROOT
"""

import os
import re
import subprocess
import sys

LINES_MAX = 800
FUNCTION_MAX = 100
WIDTH = 80
HEAD = re.compile(r"\n/\*\n \* Copyright \(C\) the ngx_http_oci_module "
                  r"authors\n")

# where a word may stand, and nowhere else
ONLY_IN = (
    ("nginx_version", ("src/http/ngx_http_oci_compat.h",)),
    ("ngx_thread_task_post", ("src/http/ngx_http_oci_task.c",
                              "src/http/ngx_http_oci_lane.c",
                              "src/edge/ngx_http_oci_job.c")),
    ("ngx_null_command", ("src/http/ngx_http_oci_module.c",)),
)

# what differs between versions of nginx is for all of the upper floor
COMPAT = "ngx_http_oci_compat.h"

# room -> the rooms whose headers it must not see
FORBIDDEN = {
    "core": ("store", "http", "zone", "edge", "web"),
    "store": ("http", "zone", "edge", "web"),
    "zone": ("http", "edge", "web"),
    "edge": ("http", "web"),
    "http": (),
    "web": (),
}

CONTROL = r"(?:if|for|while|switch)"
DECLARATION = re.compile(
    r"^ +(?:(?:static|const|unsigned|struct|enum|union|volatile)\s+)*"
    r"(?:[a-z][a-z0-9_]*_(?:p?t|e)|int|char|long|short|unsigned|"
    r"void|va_list|u_char|double|[A-Z][A-Z0-9_]*|(?:struct|enum|union)"
    r" \w+)\s(?:[\s*]|const\b)*[a-z_]\w*\s*(?:\[[^]]*\])*\s*"
    r"(?:=[^=].*|,.*)?[;,{]\s*$"
    r"|^ +(?:static )?(?:const )?(?:struct|union|enum)(?: \w+)? \{$")
FUNCTION = re.compile(r"^([a-z_]\w*)\(")


def blank(text):
    """The text with comments and the insides of literals blanked out."""
    out = []
    i, n = 0, len(text)
    while i < n:
        c = text[i]
        if text.startswith("/*", i):
            j = text.find("*/", i + 2)
            j = n if j < 0 else j + 2
            out.append(re.sub(r"[^\n]", " ", text[i:j]))
            i = j
        elif c in "\"'":
            j = i + 1
            while j < n and text[j] != c and text[j] != "\n":
                j += 2 if text[j] == "\\" else 1
            out.append(c + " " * (j - i - 1) + c)
            i = j + 1
        else:
            out.append(c)
            i += 1
    return "".join(out)


class File:
    def __init__(self, root, path, problems):
        self.path = path
        self.problems = problems
        with open(os.path.join(root, path), encoding="utf-8") as f:
            self.text = f.read()
        self.lines = self.text.split("\n")
        self.code = blank(self.text).split("\n")

    def bad(self, line, what):
        self.problems.append("%s:%d: %s" % (self.path, line, what))

    def check(self):
        self.whole()
        self.each_line()
        self.spacing()
        self.functions()
        self.rooms()

    def whole(self):
        if not HEAD.match(self.text):
            self.bad(1, "does not begin with an empty line and the "
                        "copyright comment")
        if not self.text.endswith("\n") or self.text.endswith("\n\n"):
            self.bad(len(self.lines), "does not end with one newline")
        if len(self.lines) - 1 > LINES_MAX:
            self.bad(LINES_MAX, "has %d lines, over %d: it is two rooms"
                     % (len(self.lines) - 1, LINES_MAX))
        if self.path.endswith(".h") and self.path.startswith("src/"):
            guard = ("_" + os.path.basename(self.path)[:-2].upper()
                     + "_H_INCLUDED_")
            if "#ifndef " + guard not in self.text:
                self.bad(1, "has no guard %s" % guard)

    def each_line(self):
        for n, (line, code) in enumerate(zip(self.lines, self.code), 1):
            if "\t" in line:
                self.bad(n, "a tab")
            if line != line.rstrip():
                self.bad(n, "white space at the end of the line")
            if len(line) > WIDTH:
                self.bad(n, "%d columns, over %d" % (len(line), WIDTH))
            if "//" in code:
                self.bad(n, "a // comment")
            if re.search(r"\b%s\(" % CONTROL, code):
                self.bad(n, "no space between keyword and (")
            if re.search(r"\b(?:if|for|while|switch) \( |\S \)", code) \
                    and not re.search(r"; \)|\\$", code) \
                    and "( /* void */" not in line \
                    and not line.lstrip().startswith("#"):
                self.bad(n, "a space inside parentheses")
            if re.match(r"^ +(?:if|for|while) \(.*\) [^{]*;$", code) \
                    and not re.search(r"\bwhile \(.*\);$", code):
                self.bad(n, "a body on the line of its condition")
            if re.search(r"\)\{|\belse\{|\bdo\{|\}else", code):
                self.bad(n, "no space beside a brace")
            if re.search(r"^\s*\}\s*$", code) and n < len(self.code) \
                    and re.match(r"^\s*else\b", self.code[n]):
                self.bad(n + 1, "else on a line of its own")
            if re.search(r"\breturn\(", code):
                self.bad(n, "return is not a function")
            if re.search(r"\b(?:TODO|FIXME|XXX)\b", line):
                self.bad(n, "something left undone")
            self.indentation(n, code)
            self.braces(n, code)

    def indentation(self, n, code):
        """Statements stand at multiples of four columns."""
        m = re.match(r"^( *)(?:if|for|while|switch|do|return|break|continue|"
                     r"goto|case|default)\b", code)
        if m and len(m.group(1)) % 4:
            self.bad(n, "indented by %d columns" % len(m.group(1)))
        m = re.match(r"^( *)(case\b.*|default):", code)
        if m:
            level = self.level_of_switch(n)
            if level is not None and level != len(m.group(1)):
                self.bad(n, "case does not stand under its switch")

    def level_of_switch(self, n):
        depth = 0
        for i in range(n - 2, -1, -1):
            code = self.code[i]
            depth += code.count("}") - code.count("{")
            if depth < 0:
                m = re.match(r"^( *)switch \(", code)
                if m:
                    return len(m.group(1))
                return None
        return None

    def braces(self, n, code):
        """if, for and while always have a brace, on their last line or,
        after a condition of several lines, on the next one."""
        m = re.match(r"^( *)(?:\} )?(?:else )?(?:if|for|while) \(", code)
        if m and not re.match(r"^ *\} while", code) \
                and not code.lstrip().startswith("#"):
            depth = 0
            for i in range(n - 1, len(self.code)):
                c = self.code[i][m.end() - 1 if i == n - 1 else 0:]
                depth += c.count("(") - c.count(")")
                if depth == 0:
                    break
            last = self.code[i].rstrip()
            if i == n - 1:
                if not last.endswith("{") \
                        and not re.search(r"\{\s*\}$|; \)|\\$", last):
                    self.bad(n, "no brace after a condition")
            elif last.endswith("{"):
                self.bad(i + 1, "the brace after a condition of several "
                                "lines stands on a line of its own")
            elif i + 1 < len(self.code) \
                    and self.code[i + 1].strip() != "{":
                self.bad(i + 1, "no brace after a condition")
        if re.match(r"^ *(?:\} )?else$", code) \
                or re.match(r"^ *(?:\} )?else [^i{]", code):
            self.bad(n, "no brace after else")

    def spacing(self):
        """Two empty lines between what stands at the outermost level."""
        empty = 0
        for n, line in enumerate(self.lines[:-1], 1):
            if line == "":
                empty += 1
                continue
            if empty > 2:
                self.bad(n, "more than two empty lines")
            before = self.lines[n - 2 - empty] if n - 2 - empty >= 0 else ""
            if before == "}" and empty != 2 \
                    and not line.startswith("#"):
                self.bad(n, "not two empty lines after a function")
            if re.match(r"^\S", line) and empty == 1 \
                    and before == "}" and not line.startswith("#"):
                self.bad(n, "one empty line at the outermost level")
            empty = 0

    def functions(self):
        """The name starts its line, its type and its brace have their own;
        declarations come first in a block; no function is too long."""
        start, name = None, None
        for n, code in enumerate(self.code, 1):
            if re.match(r"^(?:static |extern |const |unsigned |struct )*"
                        r"[a-z_]\w*[ *]+\**[a-z_]\w*\([^;]*$", code) \
                    and not code.startswith(("typedef", "#", "return",
                                             "else")) \
                    and self.is_definition(n):
                self.bad(n, "the type of a function on the line of its name")
            m = FUNCTION.match(code)
            if m and self.is_definition(n):
                name = m.group(1)
            if code == "{":
                start = n
            elif code.endswith(") {") and re.match(r"^[a-z_]", code):
                self.bad(n, "the brace of a function is not on its own line")
            elif code == "}" and start is not None:
                if n - start > FUNCTION_MAX:
                    self.bad(start, "%s() has %d lines, over %d"
                             % (name, n - start, FUNCTION_MAX))
                self.declarations(start, n)
                start = None

    def is_definition(self, n):
        for code in self.code[n - 1:n + 12]:
            if code == "{":
                return True
            if ";" in code or code == "}":
                return False
        return False

    def declarations(self, start, end):
        """C89: after the first statement of a block no declaration."""
        stack = []
        joined = ""
        continued = False
        for n in range(start, end + 1):
            code = self.code[n - 1]
            text = code.strip()
            if not text or text.startswith("#"):
                continue
            opens = text.count("{")
            closes = text.count("}")
            if not continued and stack and not text.startswith(("}", "{")):
                if DECLARATION.match(code) \
                        and not re.match(r"^ *(?:return|goto|case|else)\b",
                                         code):
                    if stack[-1] == "statements":
                        self.bad(n, "a declaration after a statement")
                elif not re.match(r"^(?:case\b.*|default):$", text):
                    stack[-1] = "statements"
            joined = text
            continued = not joined.endswith((";", "{", "}", ":"))
            if DECLARATION.match(code) and joined.endswith(","):
                continued = True
            for _ in range(opens):
                stack.append("declarations")
            for _ in range(closes):
                if stack:
                    stack.pop()

    def rooms(self):
        m = re.match(r"^src/(\w+)/", self.path)
        room = m.group(1) if m else None
        for n, line in enumerate(self.lines, 1):
            inc = re.match(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
            if inc and room:
                self.include(n, room, inc.group(1))
        for word, homes in ONLY_IN:
            if self.path in homes or not room:
                continue
            for n, code in enumerate(self.code, 1):
                if re.search(r"\b%s\b" % word, code):
                    self.bad(n, "%s stands only in %s"
                             % (word, " and ".join(homes)))
        if room in ("core", "store"):
            for n, code in enumerate(self.code, 1):
                if re.search(r"\bngx_", code):
                    self.bad(n, "the lower floor knows nothing of nginx")

    def include(self, n, room, name):
        base = os.path.basename(name)
        if room not in FORBIDDEN:
            self.bad(n, "src/%s is no room of the house" % room)
            return
        if room in ("core", "store") and base.startswith("ngx"):
            self.bad(n, "the lower floor knows nothing of nginx")
        if "/" in name and not name.startswith(("sys/", "openssl/",
                                                "linux/", "netinet/",
                                                "arpa/", "net/")):
            self.bad(n, "an include with a path: %s" % name)
        for other in FORBIDDEN[room]:
            if base in HEADERS.get(other, ()) and base != COMPAT:
                self.bad(n, "src/%s must not include src/%s (%s)"
                         % (room, other, base))


HEADERS = {}


def tracked(root, *patterns):
    """The files of the repository, those not yet added included."""
    out = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-co",
         "--exclude-standard", "--"] + list(patterns), check=True,
        stdout=subprocess.PIPE, text=True).stdout.split("\n")
    return sorted(p for p in set(out)
                  if p and os.path.exists(os.path.join(root, p)))


def every_text(root, problems):
    """Paths of one machine and hosts of package registries stand nowhere."""
    hosts = re.compile(r"\b(?:%s)\b" % "|".join(
        re.escape(h) for h in (
            "proxy" + ".golang.org", "sum" + ".golang.org",
            "deb" + ".debian.org", "security" + ".debian.org",
            "snapshot" + ".debian.org", "pypi" + ".org",
            "files" + ".pythonhosted.org", "registry" + ".npmjs.org",
            "crates" + ".io", "repo1" + ".maven.org")))
    paths = re.compile(r"(?<![\w.$}])/(?:work|root|home)/[\w.]|/tmp/"
                       r"bash_jobs")
    for path in tracked(root):
        try:
            with open(os.path.join(root, path), encoding="utf-8") as f:
                text = f.read()
        except (UnicodeDecodeError, IsADirectoryError):
            continue
        for n, line in enumerate(text.split("\n"), 1):
            if hosts.search(line):
                problems.append("%s:%d: the host of a package registry"
                                % (path, n))
            if paths.search(line):
                problems.append("%s:%d: a path of one machine" % (path, n))


def config_lists(root, problems):
    """The lists of `config` are the tree."""
    with open(os.path.join(root, "config"), encoding="utf-8") as f:
        text = f.read()
    if "find $ngx_addon_dir" in text:
        problems.append("config: the lists of files are not written out: "
                        "make lists")
        return
    named = re.findall(r"\$(oci_\w+)/(\S+?\.[ch])\b", text)
    rooms = dict(re.findall(r"^(oci_\w+)=\$ngx_addon_dir/(\S+)$", text,
                            re.M))
    listed = [rooms.get(v, v) + "/" + name for v, name in named]
    there = tracked(root, "src/**/*.c", "src/**/*.h", "src/*.c", "src/*.h")
    for path in there:
        if path not in listed:
            problems.append("config: %s is not listed: make lists"
                            % path)
    for path in sorted(set(listed)):
        if path not in there:
            problems.append("config: %s is listed and does not exist: "
                            "make lists" % path)
    for kind in ".h", ".c":
        part = [p for p in listed if p.endswith(kind)]
        if part != sorted(set(part)):
            problems.append("config: the list of %s files is not sorted"
                            % kind)


def main():
    root = sys.argv[1]
    problems = []
    files = [p for p in tracked(root, "src", "t/unit", "t/fuzz")
             if p.endswith((".c", ".h"))]
    for path in files:
        m = re.match(r"^src/(\w+)/(.*\.h)$", path)
        if m:
            HEADERS.setdefault(m.group(1), set()).add(m.group(2))
    for path in files:
        File(root, path, problems).check()
    config_lists(root, problems)
    every_text(root, problems)
    for p in sorted(set(problems)):
        print(p)
    print("style: %d files, %d problems" % (len(files), len(set(problems))))
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
