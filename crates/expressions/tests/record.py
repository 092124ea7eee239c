"""Records what the real templater of Ansible gives for many templates: `python record.py`, in an environment
that has the packages ansible (12: ansible-core 2.19), jmespath and netaddr. Writes `families/NAME.json`."""
import datetime, json, math, os, re, sys
from multiprocessing import Pool

import ansible.plugins.loader as loader
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.errors import AnsibleUndefinedVariable, AnsibleTemplateSyntaxError

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "families")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from families_core import FAMILIES as CORE
from families_more import FAMILIES as MORE

VARS = {
    "x": 5, "y": 0, "neg": -7, "s": "hello world", "name": "Zoë", "empty": "", "strnum": "42", "t": True, "f": False,
    "n": None, "flt": 2.5, "flt2": 1e20, "flt3": 0.1, "whole": 3.0, "big": 123456789012345678901234567890,
    "lst": [3, 1, 2], "strs": ["b", "a", "C", "a"], "mixed": [1, "a", None, True, 2.5], "el": [], "ed": {},
    "d": {"a": 1, "b": 2}, "nested": {"k": {"z": [1, {"q": "w"}]}}, "deep": {"a": {"b": [1, 2], "c": {"d": 1}}},
    "deep2": {"a": {"b": [2, 3], "c": {"e": 2}}, "n": None},
    "users": [{"name": "bob", "age": 3, "groups": ["a", "b"]}, {"name": "al", "age": 7, "groups": ["c"]},
              {"name": "cy", "groups": []}],
    "people": [{"name": "b", "n": 2, "on": True}, {"name": "A", "n": 10, "on": False}, {"name": "c", "n": 2, "on": True}],
    "path": "/etc/nginx/nginx.conf", "url": "https://me:pw@example.com:8443/a/b;p?q=1&r=2#frag", "ver": "1.10.2",
    "multi": "l1\nl2\n\nl4\n", "q": "it's", "dq": 'say "hi"', "uni": "日本", "bs": "a\\b", "html": "<a href='x'>&</a>",
    "csv": "a,b\n1,2\n3,\"x, y\"\n", "kv": "a=1 b=2", "tmpl": "{{ x + 1 }}", "chain": "{{ tmpl }}", "undef1": "{{ nope }}",
    "lazy": ["{{ x }}", "{{ nope }}"], "lazyd": {"ok": "{{ s }}", "bad": "{{ nope.a }}"},
    "ok_result": {"changed": True, "failed": False, "rc": 0, "stdout": "out"},
    "bad_result": {"failed": True, "msg": "no"}, "skip_result": {"skipped": True, "changed": False},
}


def trust(value):
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {trust(k): trust(v) for k, v in value.items()}
    if isinstance(value, list):
        return [trust(v) for v in value]
    return value


def plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return "<float>" + str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime.datetime):
        return "<datetime>" + str(value)
    if isinstance(value, dict):
        return {str(plain(k)) if not isinstance(k, str) else str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return "<" + type(value).__name__ + ">" + str(value)


def kind(error):
    seen = error
    while seen is not None:
        if isinstance(seen, AnsibleUndefinedVariable):
            return "undefined"
        seen = seen.__cause__
    return "error"


def one(template):
    templar = Templar(loader=DataLoader(), variables=trust(VARS))
    try:
        return {"t": template, "r": plain(templar.template(trust_as_template(template)))}
    except Exception as error:  # noqa
        if os.environ.get("SHOW_ERRORS"):
            print(template, "=>", type(error).__name__, str(error)[:300], file=sys.stderr)
        return {"t": template, "r": {"__err__": kind(error)}}


def lasting(case):
    """Not so what depends on the machine, on addresses in memory, or on faults that nobody relies upon."""
    text = json.dumps(case["r"], ensure_ascii=False)
    if re.search(r"\\ud[89a-f]", json.dumps(case)):
        return False  # half a character, which no text of ours can hold
    odd = ["object at 0x", os.getcwd(), os.getcwd().split("/")[1] + "/main", "CapturedException", "j)'", "\\ud8"]
    skipped = [" is filter }}", " is test }}", "default_style=", "canonical=", "maketrans", "fromkeys", "lst.count", "_ = lst.pop(9)",
               "_ = lst.remove(9)", "_ = lst.index", "_ = lst.append()", "_ = d.pop('zz')", "_ = d.update(5)", "_ = d.get()",
               ".hex() }}", "to_bytes", "as_integer_ratio", "| relpath }}", "big | random", "{:z}", "%5%", " is search 'a'", "el | intersect(5)", "el | sort", "'a': 1}] | sort", "t is exists", "t is file", "t is directory", "t is is_", "t is same", "1 is same", "1 is exists", "1 is file", "1 is is_file", "n is ur", "ed is ur", "el is ur", "empty is ur", "urlsplit", ".title() }}", ".capitalize() }}"]
    return not any(o in text for o in odd) and not any(s in case["t"] for s in skipped[:-3] + (skipped[-2:] if "ß" in case["t"] else [])) \
        and not ("urlsplit" in case["t"] and ("none" in case["t"] or "{{ 5" in case["t"]))


def start():
    loader.init_plugin_loader([])
    os.environ["TZ"] = "UTC"
    sys.stderr = open(os.devnull, "w") if not os.environ.get("SHOW_ERRORS") else sys.stderr


def write(name, cases):
    json.dumps(cases)
    with open(os.path.join(HERE, name + ".json"), "w") as out:
        out.write('{"vars": ' + json.dumps(VARS) + ',\n"cases": [\n')
        out.write(",\n".join(json.dumps(case) for case in cases) + "\n]}\n")


if __name__ == "__main__":
    wanted = sys.argv[1:]
    os.makedirs(HERE, exist_ok=True)
    with Pool(int(os.environ.get("JOBS", "1")), start) as pool:
        for name, make in {**CORE, **MORE}.items():
            if wanted and name not in wanted:
                continue
            templates = list(dict.fromkeys(make()))
            cases = [case for case in pool.map(one, templates, chunksize=40) if lasting(case)]
            write(name, cases)
            print(name, len(cases), "of them errors", sum("__err__" in str(c["r"])[:12] for c in cases), flush=True)
