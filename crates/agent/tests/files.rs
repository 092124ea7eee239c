//! File modules: state and arguments in, changes and result out. The results are those of ansible-core 2.19.

use std::os::unix::fs::MetadataExt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::host::Host;

fn mode(host: &Host, name: &str) -> u32 {
    std::fs::symlink_metadata(host.path(name)).unwrap().mode() & 0o7777
}

#[test]
fn file_directories() {
    let mut h = Host::new();
    let args = json!({"path": "W/a/b/c", "state": "directory", "mode": "0750"});
    let check = h.check("file", args.clone());
    assert_eq!(check["changed"], json!(true));
    assert!(!h.work().join("a").exists());
    let r = h.expect(
        "file",
        args.clone(),
        json!({"changed": true, "path": "W/a/b/c", "mode": "0750", "state": "directory"}),
    );
    assert_eq!(r["diff"]["before"]["state"], json!("absent"));
    assert_eq!(mode(&h, "a"), 0o750);
    h.expect("file", args, json!({"changed": false}));
    h.put("a/b/f", "");
    h.expect(
        "file",
        json!({"path": "W/a", "state": "directory", "recurse": true, "mode": "u=rwX,go="}),
        json!({"changed": true}),
    );
    assert_eq!((mode(&h, "a/b"), mode(&h, "a/b/f")), (0o700, 0o600));
    h.expect("file", json!({"path": "W/a/b/f", "state": "directory"}), json!({"failed": true}));
    h.expect("file", json!({"path": "W/a", "state": "file"}), json!({"failed": true, "state": "directory"}));
    let r = h.expect(
        "file",
        json!({"path": "W/a", "state": "absent"}),
        json!({"changed": true, "state": "absent"}),
    );
    assert_eq!(r["diff"]["before"]["path_content"]["files"].as_array().unwrap().len(), 1);
    h.expect("file", json!({"path": "W/a", "state": "absent"}), json!({"changed": false}));
    h.bye();
}

#[test]
fn file_touch_and_attributes() {
    let mut h = Host::new();
    h.expect(
        "file",
        json!({"path": "W/t", "state": "touch", "mode": "u=rw"}),
        json!({"changed": true, "dest": "W/t", "mode": "0644"}),
    );
    h.expect("file", json!({"path": "W/t", "state": "touch"}), json!({"changed": true}));
    let keep =
        json!({"path": "W/t", "state": "touch", "access_time": "preserve", "modification_time": "preserve"});
    h.expect("file", keep, json!({"changed": false}));
    let at = json!({"path": "W/t", "state": "file", "modification_time": "200102030405.06"});
    h.expect("file", at.clone(), json!({"changed": true}));
    h.expect("file", at, json!({"changed": false}));
    let r =
        h.expect("file", json!({"path": "W/t", "mode": "0640"}), json!({"changed": true, "mode": "0640"}));
    assert_eq!(
        r["diff"],
        json!({"before": {"path": h.path("t"), "mode": "0644"}, "after": {"path": h.path("t"), "mode": "0640"}})
    );
    h.expect("file", json!({"path": "W/t", "mode": "g+w"}), json!({"changed": true, "mode": "0660"}));
    h.expect(
        "file",
        json!({"path": "W/no", "mode": "0640"}),
        json!({"failed": true, "msg": "file (W/no) is absent, cannot continue"}),
    );
    h.expect("file", json!({"path": "W/t", "owner": "no-such-user"}), json!({"failed": true}));
    assert_eq!(h.check("file", json!({"path": "W/q", "state": "touch"}))["changed"], json!(true));
    h.bye();
}

#[test]
fn file_links() {
    let mut h = Host::new();
    h.put("t", "x");
    h.expect(
        "file",
        json!({"src": "t", "path": "W/l", "state": "link"}),
        json!({"changed": true, "src": "t", "dest": "W/l", "state": "link"}),
    );
    h.expect("file", json!({"src": "t", "path": "W/l", "state": "link"}), json!({"changed": false}));
    h.expect(
        "file",
        json!({"src": "no", "path": "W/l2", "state": "link"}),
        json!({"failed": true, "src": "no"}),
    );
    let r = h.expect(
        "file",
        json!({"src": "no", "path": "W/l2", "state": "link", "force": true, "mode": "0600"}),
        json!({"changed": true}),
    );
    assert_eq!(r["warnings"].as_array().unwrap().len(), 1);
    h.expect(
        "file",
        json!({"src": "t", "path": "W/t2", "state": "hard"}),
        json!({"failed": true, "msg": "absolute paths are required"}),
    );
    h.expect(
        "file",
        json!({"src": "W/t", "path": "W/h", "state": "hard"}),
        json!({"changed": true, "state": "hard"}),
    );
    h.expect("file", json!({"src": "W/t", "path": "W/h", "state": "hard"}), json!({"changed": false}));
    h.put("plain", "y");
    h.expect("file", json!({"src": "t", "path": "W/plain", "state": "link"}), json!({"failed": true}));
    h.expect(
        "file",
        json!({"src": "t", "path": "W/plain", "state": "link", "force": true}),
        json!({"changed": true}),
    );
    h.expect("file", json!({"path": "W/l", "mode": "0600"}), json!({"changed": true}));
    assert_eq!(mode(&h, "t"), 0o600);
    h.expect("file", json!({"path": "W/l", "state": "absent"}), json!({"changed": true}));
    assert_eq!(h.get("t"), "x");
    h.bye();
}

fn inline(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

#[test]
fn copy_contents() {
    let mut h = Host::new();
    let args = json!({"dest": "W/c", "_inline": inline("hello\nworld\n"), "mode": "0644"});
    h.expect("copy", args.clone(), json!({
        "changed": true, "checksum": "58853e8a5e8272b1012f9a52a80758b27bd0d3cb", "md5sum": "0f723ae7f9bf07744445e93ac5595156",
        "dest": "W/c", "mode": "0644", "size": 12, "state": "file",
    }));
    h.expect("copy", args, json!({"changed": false}));
    h.expect(
        "copy",
        json!({"dest": "W/c", "_inline": inline("hello\nworld\n"), "mode": "0600"}),
        json!({"changed": true, "mode": "0600"}),
    );
    let r = h.run("copy", json!({"dest": "W/c", "_inline": inline("HELLO\n"), "backup": true}));
    assert_eq!(std::fs::read_to_string(r["backup_file"].as_str().unwrap()).unwrap(), "hello\nworld\n");
    assert_eq!(mode(&h, "c"), 0o600);
    assert_eq!(r["diff"][0]["before"], json!("hello\nworld\n"));
    let check = h.check("copy", json!({"dest": "W/c", "_inline": inline("x")}));
    assert_eq!((check["changed"].clone(), h.get("c")), (json!(true), "HELLO\n".to_owned()));
    h.expect(
        "copy",
        json!({"dest": "W/no/c", "_inline": inline("x")}),
        json!({"failed": true, "msg": "Destination directory W/no does not exist"}),
    );
    h.expect(
        "copy",
        json!({"dest": "W/c", "_inline": inline("x"), "validate": "grep -q y %s"}),
        json!({"failed": true, "msg": "failed to validate", "exit_status": 1}),
    );
    h.expect(
        "copy",
        json!({"dest": "W/c", "_inline": inline("x"), "force": false}),
        json!({"changed": false}),
    );
    h.expect(
        "copy",
        json!({"dest": "W/new/", "_inline": inline("x"), "_original_basename": "n.txt"}),
        json!({"changed": true, "dest": "W/new/n.txt"}),
    );
    assert_eq!(h.get("c"), "HELLO\n");
    h.bye();
}

#[test]
fn copy_on_the_host_and_trees() {
    let mut h = Host::new();
    std::fs::create_dir_all(h.path("src/sub")).unwrap();
    h.put("src/a", "1");
    h.put("src/sub/b", "2");
    h.expect(
        "copy",
        json!({"src": "W/src/a", "dest": "W/x", "remote_src": true, "mode": "preserve"}),
        json!({"changed": true}),
    );
    h.expect(
        "copy",
        json!({"src": "W/src/", "dest": "W/d1", "remote_src": true}),
        json!({"changed": true, "checksum": null}),
    );
    h.expect("copy", json!({"src": "W/src/", "dest": "W/d1", "remote_src": true}), json!({"changed": false}));
    h.expect("copy", json!({"src": "W/src", "dest": "W/d1", "remote_src": true}), json!({"changed": true}));
    assert_eq!(
        (h.get("d1/a"), h.get("d1/sub/b"), h.get("d1/src/sub/b")),
        ("1".into(), "2".into(), "2".into())
    );
    h.expect(
        "copy",
        json!({"src": "W/none", "dest": "W/x", "remote_src": true}),
        json!({"failed": true, "msg": "Source W/none not found"}),
    );
    let tree = json!([
        {"path": "t", "kind": "dir"}, {"path": "t/f", "kind": "file", "inline": inline("f"), "size": 1},
        {"path": "l", "kind": "link", "target": "t/f"},
    ]);
    let args = json!({"dest": "W/tree", "_tree": tree, "mode": "0640", "directory_mode": "0750"});
    h.expect("copy", args.clone(), json!({"changed": true}));
    h.expect("copy", args, json!({"changed": false}));
    assert_eq!((h.get("tree/l"), mode(&h, "tree/t"), mode(&h, "tree/t/f")), ("f".to_owned(), 0o750, 0o640));
    let bad = json!([{"path": "../out", "kind": "file", "inline": inline("f"), "size": 1}]);
    h.expect("copy", json!({"dest": "W/tree", "_tree": bad}), json!({"failed": true}));
    assert!(!h.work().join("out").exists());
    h.bye();
}

#[test]
fn lines() {
    // before, arguments, after, result
    let cases = [
        (
            "hello\nworld\n",
            json!({"line": "foo", "insertafter": "^hel"}),
            "hello\nfoo\nworld\n",
            json!({"changed": true, "msg": "line added", "backup": ""}),
        ),
        ("a\nfoo\n", json!({"line": "foo"}), "a\nfoo\n", json!({"changed": false, "msg": ""})),
        ("a\n", json!({"line": "foo", "insertbefore": "BOF"}), "foo\na\n", json!({"msg": "line added"})),
        ("a\nb\n", json!({"line": "foo", "insertbefore": "^b"}), "a\nfoo\nb\n", json!({"msg": "line added"})),
        ("a", json!({"line": "foo"}), "a\nfoo\n", json!({"msg": "line added"})),
        ("x1\nx2\n", json!({"line": "y", "regexp": "^x"}), "x1\ny\n", json!({"msg": "line replaced"})),
        (
            "x1\nx2\n",
            json!({"line": "y", "regexp": "^x", "firstmatch": true}),
            "y\nx2\n",
            json!({"msg": "line replaced"}),
        ),
        (
            "foo\n",
            json!({"line": "\\1bar", "regexp": "^(f)oo$", "backrefs": true}),
            "fbar\n",
            json!({"msg": "line replaced"}),
        ),
        (
            "foo\n",
            json!({"line": "\\1bar", "regexp": "^(g)oo$", "backrefs": true}),
            "foo\n",
            json!({"changed": false}),
        ),
        ("a=1\n", json!({"line": "a=2", "search_string": "a="}), "a=2\n", json!({"msg": "line replaced"})),
        (
            "a\nb\na\n",
            json!({"line": "a", "state": "absent"}),
            "b\n",
            json!({"found": 2, "msg": "2 line(s) removed"}),
        ),
        ("ab\nb\n", json!({"regexp": "^a(?=b)", "state": "absent"}), "b\n", json!({"found": 1})),
        ("a\nb\n", json!({"line": "n", "insertafter": "^zzz"}), "a\nb\nn\n", json!({"msg": "line added"})),
        ("\u{e4}\n", json!({"line": "\u{f6}"}), "\u{e4}\n\u{f6}\n", json!({"changed": true})),
    ];
    let mut h = Host::new();
    for (before, mut args, after, wanted) in cases {
        h.put("f", before);
        args["path"] = json!("W/f");
        let check = h.check("lineinfile", args.clone());
        assert_eq!(h.get("f"), before);
        let result = h.expect("lineinfile", args.clone(), wanted);
        assert_eq!(h.get("f"), after, "{args}");
        assert_eq!(check["changed"], result["changed"], "{args}");
    }
    h.expect(
        "lineinfile",
        json!({"path": "W/no", "line": "x"}),
        json!({"failed": true, "rc": 257, "msg": "Destination W/no does not exist !"}),
    );
    h.expect("lineinfile", json!({"path": "W/d/new", "line": "x", "create": true}), json!({"changed": true}));
    h.expect("lineinfile", json!({"path": "W", "line": "x"}), json!({"failed": true, "rc": 256}));
    std::fs::write(h.path("bytes"), b"\xff\xfe\nb\n").unwrap();
    h.run("lineinfile", json!({"path": "W/bytes", "line": "c"}));
    assert_eq!(std::fs::read(h.path("bytes")).unwrap(), b"\xff\xfe\nb\nc\n");
    h.bye();
}

#[test]
fn blocks() {
    let begin = "# BEGIN ANSIBLE MANAGED BLOCK\n";
    let end = "# END ANSIBLE MANAGED BLOCK\n";
    let cases = [
        (
            "x\n".to_owned(),
            json!({"block": "a\nb"}),
            format!("x\n{begin}a\nb\n{end}"),
            json!({"changed": true, "msg": "Block inserted"}),
        ),
        (
            format!("x\n{begin}a\nb\n{end}"),
            json!({"block": "a\nb"}),
            format!("x\n{begin}a\nb\n{end}"),
            json!({"changed": false, "msg": ""}),
        ),
        (
            format!("{begin}a\n{end}y\n"),
            json!({"block": ""}),
            "y\n".to_owned(),
            json!({"msg": "Block removed"}),
        ),
        (
            "x\ny\n".to_owned(),
            json!({"block": "a", "insertafter": "^x", "marker": "; {mark}"}),
            "x\n; BEGIN\na\n; END\ny\n".to_owned(),
            json!({"changed": true}),
        ),
        (
            "x\ny".to_owned(),
            json!({"block": "a", "insertbefore": "BOF", "marker": ";{mark}", "append_newline": true}),
            ";BEGIN\na\n;END\n\nx\ny".to_owned(),
            json!({"changed": true}),
        ),
        (
            "x".to_owned(),
            json!({"block": "a", "marker": ";{mark}", "marker_begin": "<", "marker_end": ">", "prepend_newline": true}),
            "x\n\n;<\na\n;>\n".to_owned(),
            json!({"changed": true}),
        ),
    ];
    let mut h = Host::new();
    for (before, mut args, after, wanted) in cases {
        h.put("f", &before);
        args["path"] = json!("W/f");
        h.expect("blockinfile", args.clone(), wanted);
        assert_eq!(h.get("f"), after, "{args}");
    }
    h.expect("blockinfile", json!({"path": "W/no", "block": "x"}), json!({"failed": true, "rc": 257}));
    h.expect(
        "blockinfile",
        json!({"path": "W/new", "block": "x", "create": true}),
        json!({"changed": true, "msg": "File created"}),
    );
    h.bye();
}

#[test]
fn replacing() {
    let mut h = Host::new();
    h.put("f", "hello\nworld\n");
    h.expect(
        "replace",
        json!({"path": "W/f", "regexp": "^(h)e(l+)", "replace": "\\1E\\g<2>"}),
        json!({"changed": true, "msg": "1 replacements made"}),
    );
    assert_eq!(h.get("f"), "hEllo\nworld\n");
    h.expect(
        "replace",
        json!({"path": "W/f", "regexp": "o", "replace": "0", "after": "hE"}),
        json!({"msg": "2 replacements made"}),
    );
    h.expect(
        "replace",
        json!({"path": "W/f", "regexp": "0", "replace": "o", "after": "w", "before": "d"}),
        json!({"msg": "1 replacements made"}),
    );
    assert_eq!(h.get("f"), "hEll0\nworld\n");
    h.expect("replace", json!({"path": "W/f", "regexp": "zzz"}), json!({"changed": false, "msg": ""}));
    let r = h.run("replace", json!({"path": "W/f", "regexp": "z", "after": "nono"}));
    assert!(r["msg"].as_str().unwrap().starts_with("Pattern for before/after params did not match"), "{r}");
    h.expect("replace", json!({"path": "W", "regexp": "z"}), json!({"failed": true, "rc": 256}));
    h.bye();
}

#[test]
fn reading() {
    let mut h = Host::new();
    h.put("c1", "hello\n");
    std::fs::create_dir(h.path("d")).unwrap();
    h.put("d/c2", "other text\n");
    h.put(".hid", "");
    std::os::unix::fs::symlink("c1", h.path("l")).unwrap();
    let r = h.run("stat", json!({"path": "W/l", "get_mime": false}));
    assert_eq!(
        (&r["stat"]["islnk"], &r["stat"]["lnk_target"], &r["stat"]["version"]),
        (&json!(true), &json!("c1"), &json!(null))
    );
    let r = h.run("stat", json!({"path": "W/l", "follow": true, "checksum_algorithm": "md5"}));
    assert_eq!(
        (&r["stat"]["checksum"], &r["stat"]["size"]),
        (&json!("b1946ac92492d2347c6235b4d2611184"), &json!(6))
    );
    h.expect("stat", json!({"path": "W/no"}), json!({"stat": {"exists": false}, "changed": false}));
    let names = |r: &serde_json::Value| {
        let mut all: Vec<String> = r["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect();
        all.sort();
        all.join(" ")
    };
    for (args, wanted) in [
        (json!({}), "c1"),
        (json!({"hidden": true}), ".hid c1"),
        (json!({"recurse": true, "patterns": "c*"}), "c1 c2"),
        (json!({"recurse": true, "excludes": "c1"}), "c2"),
        (json!({"recurse": true, "contains": "oth.*"}), "c2"),
        (json!({"recurse": true, "depth": 1}), "c1"),
        (json!({"file_type": "directory"}), "d"),
        (json!({"file_type": "link"}), "l"),
        (json!({"file_type": "any"}), "c1 d l"),
        (json!({"recurse": true, "size": "8"}), "c2"),
        (json!({"recurse": true, "size": "-7"}), "c1"),
        (json!({"age": "1d"}), ""),
        (json!({"age": "-1d"}), "c1"),
        (json!({"use_regex": true, "patterns": "^c[0-9]$", "recurse": true}), "c1 c2"),
    ] {
        let mut args = args;
        args["paths"] = json!("W");
        let r = h.run("find", args.clone());
        assert_eq!(names(&r), wanted, "{args}");
        assert_eq!(r["msg"], json!("All paths examined"));
    }
    let r = h.run("find", json!({"paths": "/no/such/dir"}));
    assert_eq!(r["skipped_paths"], json!({"/no/such/dir": "'/no/such/dir' is not a directory"}));
    h.expect(
        "slurp",
        json!({"src": "W/c1"}),
        json!({"content": "aGVsbG8K", "encoding": "base64", "source": "W/c1"}),
    );
    h.expect("slurp", json!({"src": "W/no"}), json!({"failed": true, "msg": "File not found: W/no"}));
    h.expect(
        "fetch",
        json!({"src": "W/c1"}),
        json!({"content": "aGVsbG8K", "checksum": "f572d396fae9206628714fb2ce00f72e94f2258f"}),
    );
    let known = layer::Digest::of(b"hello\n").to_string();
    let r = h.expect("fetch", json!({"src": "W/c1", "_known": known}), json!({"changed": false}));
    assert!(r.get("content").is_none() && r.get("checksum").is_some(), "{r:?}");
    h.expect("fetch", json!({"src": "W/no"}), json!({"failed": true}));
    let r = h.expect("fetch", json!({"src": "W/no", "fail_on_missing": false}), json!({"file": "W/no"}));
    assert!(r.get("failed").is_none() && r.get("checksum").is_none(), "{r:?}");
    assert_eq!(h.bye(), (None, false));
}

#[test]
fn making() {
    let mut h = Host::new();
    let r = h.run("tempfile", json!({"path": "W", "prefix": "pp", "suffix": "x", "state": "directory"}));
    let path = r["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with('x') && r["mode"] == json!("0700"), "{r}");
    std::fs::create_dir(h.path("frag")).unwrap();
    h.put("frag/1", "one");
    h.put("frag/2", "two\n");
    let args = json!({"src": "W/frag", "dest": "W/asm", "delimiter": "--"});
    h.expect("assemble", args.clone(), json!({"changed": true, "checksum": "660e08ea3ad0c6293514872e34cfc1dfdd102eff", "md5sum": "5a73ee165b460bad5e2081ff3de7b33e", "msg": "OK"}));
    assert_eq!(h.get("asm"), "one\n--\ntwo\n");
    h.expect("assemble", args, json!({"changed": false}));
    h.bye();
}

#[test]
fn unpacking() {
    let mut h = Host::new();
    let make = "mkdir -p s/dir out zout && echo one > s/dir/a && chmod 640 s/dir/a && ln -s a s/dir/l && ln s/dir/a s/hard && tar czf x.tgz -C s . && tar cJf x.txz -C s .";
    let call = h.call("shell", json!({"_raw_params": format!("cd W/ && {make}")}));
    assert_eq!(h.run_call(call)["rc"], json!(0));
    for archive in ["x.tgz", "x.txz"] {
        let args =
            json!({"src": format!("W/{archive}"), "dest": "W/out", "remote_src": true, "list_files": true});
        assert_eq!(h.check("unarchive", args.clone())["changed"], json!(archive == "x.tgz"));
        let r = h.expect("unarchive", args.clone(), json!({"changed": archive == "x.tgz", "dest": "W/out"}));
        assert!(r["files"].as_array().unwrap().iter().any(|f| f.as_str().unwrap().ends_with("dir/a")), "{r}");
        h.expect("unarchive", args, json!({"changed": false}));
    }
    assert_eq!((h.get("out/dir/l"), mode(&h, "out/dir/a")), ("one\n".to_owned(), 0o640));
    assert_eq!(std::fs::metadata(h.path("out/hard")).unwrap().nlink(), 2);
    h.put("out/dir/a", "changed\n");
    h.expect(
        "unarchive",
        json!({"src": "W/x.tgz", "dest": "W/out", "remote_src": true}),
        json!({"changed": true}),
    );
    assert_eq!(h.get("out/dir/a"), "one\n");
    h.expect("unarchive", json!({"src": "W/x.tgz", "dest": "W/zout", "remote_src": true, "exclude": ["hard"], "extra_opts": ["--strip-components=1"]}), json!({"changed": true}));
    assert!(h.work().join("zout/a").exists() && !h.work().join("zout/hard").exists());
    h.expect(
        "unarchive",
        json!({"src": "W/x.tgz", "dest": "W/nodir", "remote_src": true}),
        json!({"failed": true, "msg": "dest 'W/nodir' must be an existing dir"}),
    );
    h.expect(
        "unarchive",
        json!({"src": "W/s/hard", "dest": "W/out", "remote_src": true}),
        json!({"failed": true}),
    );
    h.expect(
        "unarchive",
        json!({"src": "W/x.tgz", "dest": "W/out", "remote_src": true, "creates": "W/out"}),
        json!({"changed": false, "skipped": true}),
    );
    h.bye();
}

#[test]
fn an_archive_cannot_leave_its_directory() {
    let mut h = Host::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    link.set_mode(0o777);
    builder.append_link(&mut link, "way", h.dir.path()).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    builder.append_data(&mut header, "way/evil", &b"evil"[..]).unwrap();
    std::fs::write(h.path("x.tar"), builder.into_inner().unwrap()).unwrap();
    std::fs::create_dir(h.path("out")).unwrap();
    h.expect(
        "unarchive",
        json!({"src": "W/x.tar", "dest": "W/out", "remote_src": true}),
        json!({"failed": true}),
    );
    assert!(!h.dir.path().join("evil").exists());
    h.bye();
}

#[test]
fn git_repositories() {
    let mut h = Host::new();
    let author = "-c user.name=a -c user.email=a@b";
    let make = format!(
        "git init -q -b main r && cd r && echo 1 > f && git add f && git {author} commit -qm 1 && git tag v1 && echo 2 > f && git {author} commit -qam 2"
    );
    let call = h.call("shell", json!({"_raw_params": format!("cd W/ && {make}")}));
    assert_eq!(h.run_call(call)["rc"], json!(0));
    let repo = format!("file://{}", h.path("r"));
    let r = h.check("git", json!({"repo": repo, "dest": "W/g"}));
    assert_eq!((&r["changed"], &r["before"]), (&json!(true), &json!(null)));
    let r = h.expect("git", json!({"repo": repo, "dest": "W/g"}), json!({"changed": true, "before": null}));
    let newest = r["after"].clone();
    h.expect(
        "git",
        json!({"repo": repo, "dest": "W/g"}),
        json!({"changed": false, "before": newest, "after": newest, "remote_url_changed": false}),
    );
    h.expect(
        "git",
        json!({"repo": repo, "dest": "W/g", "version": "v1"}),
        json!({"changed": true, "before": newest}),
    );
    assert_eq!(h.get("g/f"), "1\n");
    let check = h.check("git", json!({"repo": repo, "dest": "W/g", "version": "main"}));
    assert_eq!((&check["changed"], &check["after"]), (&json!(true), &newest));
    h.put("g/f", "mine\n");
    h.expect(
        "git",
        json!({"repo": repo, "dest": "W/g", "version": "main"}),
        json!({"failed": true, "msg": "Local modifications exist in the destination: W/g (force=no)."}),
    );
    h.expect(
        "git",
        json!({"repo": repo, "dest": "W/g", "version": "main", "force": true}),
        json!({"changed": true, "after": newest}),
    );
    h.expect(
        "git",
        json!({"repo": h.path("r"), "dest": "W/g", "version": "main"}),
        json!({"changed": false, "remote_url_changed": false}),
    );
    h.expect(
        "git",
        json!({"repo": h.path("r/.git"), "dest": "W/g", "version": "main"}),
        json!({"changed": true, "remote_url_changed": true}),
    );
    h.expect(
        "git",
        json!({"repo": repo, "dest": "W/s", "depth": 1, "version": "v1"}),
        json!({"changed": true}),
    );
    h.expect("git", json!({"repo": repo, "dest": "W/b", "bare": true}), json!({"changed": true}));
    h.expect("git", json!({"repo": repo, "dest": "W/b", "bare": true}), json!({"changed": false}));
    h.expect(
        "git",
        json!({"repo": repo, "dest": "W/g", "version": "nope"}),
        json!({"failed": true, "msg": "Failed to checkout nope"}),
    );
    h.expect("git", json!({"repo": format!("{repo}x"), "dest": "W/n"}), json!({"failed": true, "rc": 128}));
    h.bye();
}
