//! `openssh_keypair`: a private key and its public half, made by `ssh-keygen` aside and put in place whole.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};
use layer::{Attributes, Scratch};
use crate::children;
use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{Failure, Module, Outcome, Task};

#[rustfmt::skip]
const ARGS: &[Arg] = &[
    Arg::str("state").default("present").choices(&["present", "absent"]),
    Arg::int("size"),
    Arg::str("type").default("rsa").choices(&["rsa", "dsa", "rsa1", "ecdsa", "ed25519"]),
    Arg::bool("force").default("false"),
    Arg::path("path").required(),
    Arg::str("comment"),
    Arg::str("regenerate").default("partial_idempotence").choices(&["never", "fail", "partial_idempotence", "full_idempotence", "always"]),
    Arg::str("passphrase").no_log(),
    Arg::str("private_key_format").default("auto").choices(&["auto", "pkcs1", "pkcs8", "ssh"]),
    Arg::str("backend").default("auto").choices(&["auto", "cryptography", "opensshbin"]),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("openssh_keypair", ARGS).collection("community.crypto").file_args(),
    run,
};

/// What `ssh-keygen -l` tells of a key.
#[derive(Debug, PartialEq)]
struct Known {
    size: i64,
    fingerprint: String,
    kind: String,
}

struct Pair {
    private: PathBuf,
    public: PathBuf,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let private = PathBuf::from(args.string("path"));
    let public = PathBuf::from(format!("{}.pub", private.display()));
    let pair = Pair { private, public };
    if args.str("state") == Some("absent") {
        return absent(args, task, &pair);
    }
    let size = size(args)?;
    let known = if pair.private.exists() { Some(known(args, task, &pair.private)) } else { None };
    let make = match &known {
        None => true,
        Some(known) => again(args, known.as_ref().ok(), size)?,
    };
    let mut changed = make;
    if make {
        if !task.check {
            generate(args, task, &pair, size)?;
        }
    } else {
        changed |= mend_public(args, task, &pair)?;
    }
    if task.check && make {
        return Ok(outcome(args, &pair, true, "", "").with("size", size).with("type", args.string("type")));
    }
    changed |= FileArgs::read(args)?.apply(task, &pair.private, None)?;
    told(args, task, &pair, changed)
}

fn absent(args: &Args, task: &mut Task<'_>, pair: &Pair) -> Result<Outcome, Failure> {
    let there: Vec<&PathBuf> = [&pair.private, &pair.public].into_iter().filter(|path| path.exists()).collect();
    let known = if pair.private.exists() { known(args, task, &pair.private).ok() } else { None };
    let public = std::fs::read_to_string(&pair.public).unwrap_or_default();
    if !task.check {
        for path in &there {
            task.recorder.remove(path)?;
        }
    }
    let fingerprint = known.map(|known| known.fingerprint).unwrap_or_default();
    Ok(outcome(args, pair, !there.is_empty(), &public, &fingerprint).with("size", size(args)?).with("type", args.string("type")))
}

fn size(args: &Args) -> Result<i64, Failure> {
    let kind = args.string("type");
    let (default, allowed): (i64, fn(i64) -> bool) = match kind.as_str() {
        "rsa" => (4096, |n| (1024..=16384).contains(&n)),
        "ecdsa" => (256, |n| [256, 384, 521].contains(&n)),
        "ed25519" => return Ok(256),
        "dsa" => (1024, |n| n == 1024),
        _ => return Err("keys of the type rsa1 are no longer made by ssh-keygen: use ed25519 or rsa".into()),
    };
    let size = args.int("size").unwrap_or(default);
    if allowed(size) {
        return Ok(size);
    }
    Err(Failure::new(format!("a key of the type {kind} cannot have the size {size}")))
}

/// Whether an existing key is to be replaced.
fn again(args: &Args, known: Option<&Known>, size: i64) -> Result<bool, Failure> {
    let how = args.string("regenerate");
    if args.bool("force") || how == "always" {
        return Ok(true);
    }
    let Some(known) = known else {
        return match how.as_str() {
            "full_idempotence" => Ok(true),
            _ => Err("Unable to read the key. The key is protected with a passphrase or broken. Will not proceed. \
                      To force regeneration, call the module with `generate` set to `full_idempotence` or `always`, \
                      or with `force=true`."
                .into()),
        };
    };
    let fits = known.kind == args.string("type") && known.size == size;
    match how.as_str() {
        _ if fits => Ok(false),
        "never" => Ok(false),
        "fail" => Err("Key has wrong type and/or size. Will not proceed. To force regeneration, call the module with \
                       `generate` set to `partial_idempotence`, `full_idempotence` or `always`, or with `force=true`."
            .into()),
        _ => Ok(true),
    }
}

fn known(args: &Args, task: &Task<'_>, private: &Path) -> Result<Known, Failure> {
    // The private half tells whether the passphrase is right; its public half has type, size and fingerprint.
    let public = public_of(args, task, private)?;
    let run = children::in_c_locale(task, &["ssh-keygen", "-l", "-f", "-"]).stdin(public);
    let said = children::expect(run.output()?)?.stdout_text();
    parse(&said).ok_or_else(|| Failure::new(format!("`ssh-keygen -l` said something unknown: {said}")))
}

/// `256 SHA256:… a comment (ED25519)`
fn parse(text: &str) -> Option<Known> {
    let mut words = text.split_whitespace();
    let (size, fingerprint) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    let kind = text.trim().rsplit_once('(')?.1.trim_end_matches(')').to_lowercase();
    Some(Known { size, fingerprint, kind })
}

fn public_of(args: &Args, task: &Task<'_>, private: &Path) -> Result<String, Failure> {
    let path = private.display().to_string();
    let scratch = Scratch::new()?;
    let run = asking(args, &scratch, children::in_c_locale(task, &["ssh-keygen", "-y", "-f", &path]))?;
    Ok(children::expect(run.output()?)?.stdout_text().trim_end().to_owned())
}

/// The passphrase is asked for by a program of ours: it never stands in an argument.
fn asking<'a>(
    args: &Args,
    scratch: &Scratch,
    run: crate::command::Run<'a>,
) -> Result<crate::command::Run<'a>, Failure> {
    let secret = scratch.write("passphrase", args.string("passphrase").as_bytes())?;
    let text = format!("#!/bin/sh\nexec cat '{}'\n", secret.display());
    let program = scratch.program("ask", text.as_bytes())?;
    Ok(run.env("SSH_ASKPASS", program).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", ":"))
}

fn generate(args: &Args, task: &mut Task<'_>, pair: &Pair, size: i64) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let made = scratch.path().join("key");
    let (size, place) = (size.to_string(), made.display().to_string());
    let comment = args.string("comment");
    let kind = args.string("type");
    let mut argv = vec!["ssh-keygen", "-q", "-t", &kind, "-b", &size, "-C", &comment, "-f", &place];
    match args.str("private_key_format") {
        Some("pkcs1") => argv.extend(["-m", "PEM"]),
        Some("pkcs8") => argv.extend(["-m", "PKCS8"]),
        _ => {}
    }
    if !args.has("passphrase") {
        argv.extend(["-N", ""]);
    }
    let run = asking(args, &scratch, children::in_c_locale(task, &argv))?;
    children::expect(run.output()?)?;
    let (private, public) = (files::read(&made)?, files::read(&scratch.path().join("key.pub"))?);
    task.recorder.write(&pair.private, &private[..], &Attributes::mode(0o600))?;
    task.recorder.write(&pair.public, &public[..], &Attributes::mode(0o644))?;
    Ok(())
}

/// The public half as it belongs to the private one, with the comment that is wanted.
fn mend_public(args: &Args, task: &mut Task<'_>, pair: &Pair) -> Result<bool, Failure> {
    let there = std::fs::read_to_string(&pair.public).unwrap_or_default();
    let key = public_of(args, task, &pair.private)?;
    let comment = match args.str("comment") {
        Some(comment) => comment.to_owned(),
        None => comment_of(if there.is_empty() { &key } else { &there }),
    };
    let bare: Vec<&str> = key.split_whitespace().take(2).collect();
    let wanted = format!("{} {comment}", bare.join(" ")).trim_end().to_owned();
    if there.trim_end() == wanted {
        return Ok(false);
    }
    if !task.check {
        task.recorder.write(&pair.public, format!("{wanted}\n").as_bytes(), &Attributes::mode(0o644))?;
    }
    Ok(true)
}

fn comment_of(key: &str) -> String {
    key.trim_end().splitn(3, ' ').nth(2).unwrap_or_default().to_owned()
}

fn told(args: &Args, task: &Task<'_>, pair: &Pair, changed: bool) -> Result<Outcome, Failure> {
    let known = known(args, task, &pair.private)?;
    let public = std::fs::read_to_string(&pair.public).unwrap_or_default();
    Ok(outcome(args, pair, changed, &public, &known.fingerprint).with("size", known.size).with("type", known.kind))
}

fn outcome(args: &Args, pair: &Pair, changed: bool, public: &str, fingerprint: &str) -> Outcome {
    let bare: Vec<&str> = public.split_whitespace().take(2).collect();
    let outcome = Outcome::changed(changed)
        .with("filename", pair.private.display().to_string())
        .with("fingerprint", fingerprint)
        .with("public_key", bare.join(" "));
    // What was not asked for and is not there is empty, too.
    let comment = if public.is_empty() { args.string("comment") } else { comment_of(public) };
    outcome.with("comment", comment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_keygen_says_is_understood() {
        let known = parse("256 SHA256:abc a (comment) here (ED25519)\n").expect("known");
        assert_eq!(known, Known { size: 256, fingerprint: "SHA256:abc".to_owned(), kind: "ed25519".to_owned() });
        assert_eq!(comment_of("ssh-ed25519 AAAA me at home\n"), "me at home");
        assert!(parse("key is broken").is_none());
    }
}
