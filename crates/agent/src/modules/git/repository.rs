//! The `git` program, asked and told.

use std::path::{Path, PathBuf};

use catalog::{Args, Json};
use serde_json::json;

use crate::children::{act_with, failed};
use crate::command::{Output, Run, find_program};
use crate::module::{Failure, Task};
use crate::words::quote;

pub(super) struct Repository {
    pub(super) dest: PathBuf,
    pub(super) force: bool,
    pub(super) archive: Option<String>,
    program: PathBuf,
    url: String,
    version: String,
    remote: String,
    refspec: Option<String>,
    reference: Option<String>,
    depth: Option<i64>,
    bare: bool,
    recursive: bool,
    single_branch: bool,
    track_submodules: bool,
    verify: bool,
    allowed_keys: Vec<String>,
    separate: Option<String>,
    prefix: Option<String>,
    umask: Option<u32>,
    ssh: Option<String>,
}

impl Repository {
    pub(super) fn new(args: &Args, dest: &Path, task: &Task<'_>) -> Result<Self, Failure> {
        let text = |key: &str| args.str(key).filter(|s| !s.is_empty()).map(str::to_owned);
        let program = text("executable").map(PathBuf::from).or_else(|| find_program("git"));
        let umask = match args.get("umask") {
            None => None,
            Some(Json::Number(n)) => n.as_u64().map(|n| n as u32),
            Some(other) => {
                let digits = catalog::arguments::text(other);
                Some(u32::from_str_radix(&digits, 8).map_err(|_| "umask must be an octal integer")?)
            }
        };
        Ok(Self {
            dest: dest.to_owned(),
            force: args.bool("force"),
            archive: text("archive"),
            program: program.ok_or("Failed to find required executable \"git\" on the host")?,
            url: url(&args.string("repo"), task),
            version: args.string("version"),
            remote: args.string("remote"),
            refspec: text("refspec"),
            reference: text("reference"),
            depth: args.int("depth").filter(|d| *d > 0),
            bare: args.bool("bare"),
            recursive: args.bool("recursive"),
            single_branch: args.bool("single_branch"),
            track_submodules: args.bool("track_submodules"),
            verify: args.bool("verify_commit"),
            allowed_keys: args.strings("gpg_allowlist").into_iter().filter(|k| !k.is_empty()).collect(),
            separate: text("separate_git_dir"),
            prefix: text("archive_prefix"),
            umask,
            ssh: ssh_command(args, task),
        })
    }

    pub(super) fn exists(&self) -> bool {
        if self.bare { self.dest.join("config").exists() } else { self.dest.join(".git").exists() }
    }

    fn command<'a>(&self, task: &Task<'a>, args: &[&str]) -> Run<'a> {
        let mut run =
            task.command(&self.program).args(args).env("LC_ALL", "C.UTF-8").env("GIT_TERMINAL_PROMPT", "0");
        if let Some(ssh) = &self.ssh {
            run = run.env("GIT_SSH_COMMAND", ssh);
        }
        if self.dest.is_dir() {
            run = run.cwd(&self.dest);
        }
        run.umask(self.umask)
    }

    /// A question: the host is not changed. What failed is told in git's words.
    fn ask(&self, task: &Task<'_>, args: &[&str]) -> Result<String, Failure> {
        let output = self.command(task, args).output()?;
        if output.ok() { Ok(output.stdout_text()) } else { Err(self.failure(&output, args, None)) }
    }

    fn try_ask(&self, task: &Task<'_>, args: &[&str]) -> Option<String> {
        let output = self.command(task, args).output().ok()?;
        output.ok().then(|| output.stdout_text().trim().to_owned())
    }

    pub(super) fn act(&self, task: &mut Task<'_>, args: &[&str]) -> Result<Output, Failure> {
        self.act_or(task, args, None)
    }

    fn act_or(&self, task: &mut Task<'_>, args: &[&str], message: Option<String>) -> Result<Output, Failure> {
        let run = self.command(task, args);
        let output = act_with(task, run)?;
        if output.ok() { Ok(output) } else { Err(self.failure(&output, args, message)) }
    }

    fn failure(&self, output: &Output, args: &[&str], message: Option<String>) -> Failure {
        let words = output.stderr_text().trim().to_owned();
        let line = format!("{} {}", self.program.display(), args.join(" "));
        failed(output, message.unwrap_or(words)).with("cmd", line)
    }

    pub(super) fn own_version(&self, task: &Task<'_>) -> Result<String, Failure> {
        Ok(self.ask(task, &["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// The commit that the version is at the other end. `before`: what we have, where we have something.
    pub(super) fn remote_version(&self, task: &Task<'_>, before: Option<&str>) -> Result<String, Failure> {
        let from = if before.is_some() && !task.check { self.remote.as_str() } else { self.url.as_str() };
        let listed = self.ask(task, &["ls-remote", from])?;
        let find = |name: &str| {
            listed
                .lines()
                .find_map(|l| l.split_once('\t').filter(|(_, n)| *n == name).map(|(h, _)| h.to_owned()))
        };
        let v = &self.version;
        let names = if v == "HEAD" {
            vec!["HEAD".to_owned()]
        } else {
            vec![
                format!("refs/heads/{v}"),
                format!("refs/tags/{v}^{{}}"),
                format!("refs/tags/{v}"),
                v.clone(),
            ]
        };
        if let Some(hash) = names.iter().find_map(|name| find(name)) {
            return Ok(hash);
        }
        if before.is_some()
            && let Some(hash) = self.try_ask(task, &["rev-parse", &format!("{v}^{{commit}}")])
        {
            return Ok(hash);
        }
        let is_hash = v.len() >= 7 && v.chars().all(|c| c.is_ascii_hexdigit());
        if is_hash {
            Ok(v.clone())
        } else {
            Err(Failure::new(format!("Could not determine remote revision for {v}")))
        }
    }

    fn is_remote_branch(&self, task: &Task<'_>) -> bool {
        self.try_ask(task, &["ls-remote", &self.url, "-h", &format!("refs/heads/{}", self.version)])
            .is_some_and(|s| !s.is_empty())
    }

    fn is_remote_tag(&self, task: &Task<'_>) -> bool {
        self.try_ask(task, &["ls-remote", &self.url, "-t", &format!("refs/tags/{}", self.version)])
            .is_some_and(|s| !s.is_empty())
    }

    pub(super) fn clone_it(&self, task: &mut Task<'_>) -> Result<(), Failure> {
        if let Some(parent) = self.dest.parent().filter(|p| !p.exists()) {
            crate::files::make_dirs(task, parent, &crate::fileargs::FileArgs::default())?;
        }
        let depth = self.depth.map(|d| d.to_string());
        let dest = self.dest.to_string_lossy().into_owned();
        let mut args = vec!["clone"];
        if self.bare {
            args.push("--bare");
        } else {
            args.extend(["--origin", &self.remote]);
        }
        let named = self.version != "HEAD" && (self.is_remote_branch(task) || self.is_remote_tag(task));
        if named && (self.depth.is_some() || self.single_branch) {
            args.extend(["--branch", &self.version]);
        }
        // A shallow copy of a bare commit cannot be had: then all of it.
        if let Some(depth) =
            depth.as_deref().filter(|_| named || self.version == "HEAD" || self.refspec.is_some())
        {
            args.extend(["--depth", depth]);
        }
        if self.single_branch {
            args.push("--single-branch");
        }
        if let Some(reference) = &self.reference {
            args.extend(["--reference", reference]);
        }
        let separate = self.separate.as_ref().map(|dir| format!("--separate-git-dir={dir}"));
        args.extend(separate.as_deref());
        args.extend(["--", &self.url, &dest]);
        self.act(task, &args)?;
        if self.bare && self.remote != "origin" {
            self.act(task, &["remote", "add", &self.remote, &self.url])?;
        }
        if let Some(refspec) = &self.refspec {
            let mut args = vec!["fetch"];
            if let Some(depth) = depth.as_deref() {
                args.extend(["--depth", depth]);
            }
            args.extend([self.remote.as_str(), refspec]);
            self.act(task, &args)?;
        }
        Ok(())
    }

    pub(super) fn local_changes(&self, task: &Task<'_>) -> Result<bool, Failure> {
        if self.bare {
            return Ok(false);
        }
        let status = self.ask(task, &["status", "--porcelain"])?;
        Ok(status.lines().any(|line| !line.starts_with("??")))
    }

    pub(super) fn set_url(&self, task: &mut Task<'_>) -> Result<bool, Failure> {
        let now = self.try_ask(task, &["config", "--get", &format!("remote.{}.url", self.remote)]);
        match now {
            Some(now) if now == self.url => Ok(false),
            // A bare copy that was made without a remote of that name.
            None if self.bare && self.remote == "origin" => Ok(false),
            now => {
                if !task.check {
                    let verb = if now.is_some() { "set-url" } else { "add" };
                    self.act(task, &["remote", verb, &self.remote, &self.url])?;
                }
                Ok(now.is_some())
            }
        }
    }

    pub(super) fn fetch(&self, task: &mut Task<'_>) -> Result<(), Failure> {
        let depth = self.depth.map(|d| d.to_string());
        let mut args = vec!["fetch".to_owned()];
        if self.force {
            args.push("--force".to_owned());
        }
        let v = &self.version;
        let mut specs = Vec::new();
        if self.bare {
            specs.extend(["+refs/heads/*:refs/heads/*".to_owned(), "+refs/tags/*:refs/tags/*".to_owned()]);
        } else if depth.is_some() && v != "HEAD" && self.is_remote_branch(task) {
            specs.push(format!("+refs/heads/{v}:refs/remotes/{}/{v}", self.remote));
        } else if depth.is_some() && self.is_remote_tag(task) {
            specs.push(format!("+refs/tags/{v}:refs/tags/{v}"));
        } else {
            args.push("--tags".to_owned());
        }
        if let Some(depth) = depth.filter(|_| !specs.is_empty() || v == "HEAD") {
            args.extend(["--depth".to_owned(), depth]);
        }
        args.push(self.remote.clone());
        if specs.is_empty() && self.refspec.is_some() {
            specs.push(format!("+refs/heads/*:refs/remotes/{}/*", self.remote));
        }
        args.extend(specs);
        args.extend(self.refspec.clone());
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let message = format!("Failed to download remote objects and refs: {}", self.url);
        self.act_or(task, &words, None).map(drop).map_err(|f| {
            let message = format!("{message} {}", f.message);
            Failure { message, ..f }
        })
    }

    /// The branch that the other end's HEAD is.
    fn head_branch(&self, task: &Task<'_>) -> Result<String, Failure> {
        let listed = self.ask(task, &["ls-remote", "--symref", &self.remote, "HEAD"])?;
        let branch = listed.lines().find_map(|l| l.strip_prefix("ref: refs/heads/")?.split('\t').next());
        branch
            .map(str::to_owned)
            .ok_or_else(|| Failure::new(format!("could not determine the head branch of {}", self.url)))
    }

    /// Make the working copy the wanted version.
    pub(super) fn switch(&self, task: &mut Task<'_>) -> Result<(), Failure> {
        if self.bare {
            return Ok(());
        }
        let branch = if self.version == "HEAD" {
            Some(self.head_branch(task)?)
        } else {
            let name = format!("refs/remotes/{}/{}", self.remote, self.version);
            self.try_ask(task, &["show-ref", "--verify", &name]).map(|_| self.version.clone())
        };
        let failed = |what: &str| Some(format!("Failed to checkout {what}"));
        match branch {
            Some(branch) => {
                let tracked = format!("{}/{branch}", self.remote);
                let local = format!("refs/heads/{branch}");
                if self.try_ask(task, &["show-ref", "--verify", &local]).is_some() {
                    self.act_or(task, &["checkout", "--force", &branch, "--"], failed(&branch))?;
                } else {
                    self.act_or(
                        task,
                        &["checkout", "--force", "--track", "-b", &branch, &tracked, "--"],
                        failed(&branch),
                    )?;
                }
                self.act(task, &["reset", "--hard", &tracked, "--"])?;
            }
            None => _ = self.act_or(task, &["checkout", "--force", &self.version], failed(&self.version))?,
        }
        if self.verify { self.verify_signature(task) } else { Ok(()) }
    }

    fn verify_signature(&self, task: &Task<'_>) -> Result<(), Failure> {
        let is_tag = self.try_ask(task, &["cat-file", "-t", &self.version]).as_deref() == Some("tag");
        let (verb, what) =
            if is_tag { ("verify-tag", self.version.as_str()) } else { ("verify-commit", "HEAD") };
        let output = self.command(task, &[verb, "--raw", what]).output()?;
        if !output.ok() {
            let message = format!("Failed to verify GPG signature of commit/tag \"{}\"", self.version);
            return Err(self.failure(&output, &[verb, what], Some(message)));
        }
        let said = output.stderr_text();
        let key = said.lines().find_map(|l| l.split(" VALIDSIG ").nth(1)?.split_whitespace().next());
        let allowed = self.allowed_keys.is_empty()
            || key.is_some_and(|k| self.allowed_keys.iter().any(|a| k.ends_with(a.as_str())));
        if allowed {
            Ok(())
        } else {
            Err("The gpg_allowlist does not include the public key of this commit/tag".into())
        }
    }

    pub(super) fn submodules(&self, task: &mut Task<'_>) -> Result<bool, Failure> {
        if self.bare || !self.recursive || !self.dest.join(".gitmodules").exists() {
            return Ok(false);
        }
        let before = self.try_ask(task, &["submodule", "status", "--recursive"]);
        self.act(task, &["submodule", "sync", "--recursive"])?;
        let mut args = vec!["submodule", "update", "--init", "--recursive"];
        if self.track_submodules {
            args.push("--remote");
        }
        if self.force {
            args.push("--force");
        }
        self.act(task, &args)?;
        Ok(before != self.try_ask(task, &["submodule", "status", "--recursive"]))
    }

    pub(super) fn diff(&self, task: &Task<'_>, before: &str, after: &str) -> Json {
        if let Some(text) = self.try_ask(task, &["diff", before, after]) {
            return json!({"prepared": text});
        }
        json!({"prepared": format!(">> {before} -> {after}")})
    }

    pub(super) fn make_archive(&self, task: &Task<'_>, path: &str) -> Result<Vec<u8>, Failure> {
        let format = [".tar.gz", ".tgz", ".tar", ".zip"].into_iter().find(|end| path.ends_with(end));
        let format = format
            .ok_or_else(|| format!("{path}: the archive's name must end in .zip, .tar, .tar.gz or .tgz"))?;
        let mut args = vec!["archive".to_owned(), format!("--format={}", format.trim_start_matches('.'))];
        args.extend(self.prefix.as_ref().map(|p| format!("--prefix={p}")));
        args.push(self.version.clone());
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = self.command(task, &words).output()?;
        if output.ok() { Ok(output.stdout) } else { Err(self.failure(&output, &words, None)) }
    }
}

/// A repository on the host itself is named by an address too, so that git copies it as it would from another host.
fn url(repo: &str, task: &Task<'_>) -> String {
    let path = crate::serve::expand_path(repo, task.environment);
    if path.starts_with('/') { format!("file://{path}") } else { repo.to_owned() }
}

/// What git shall connect with.
fn ssh_command(args: &Args, task: &Task<'_>) -> Option<String> {
    let mut words = Vec::new();
    if let Some(key) = args.str("key_file").filter(|k| !k.is_empty()) {
        words.push(format!("-o IdentitiesOnly=yes -i {}", quote(key)));
    }
    if args.bool("accept_hostkey") {
        words.push("-o StrictHostKeyChecking=no".to_owned());
    } else if args.bool("accept_newhostkey") {
        words.push("-o StrictHostKeyChecking=accept-new".to_owned());
    }
    words.extend(args.str("ssh_opts").filter(|o| !o.is_empty()).map(str::to_owned));
    let own = task.variable("GIT_SSH_COMMAND").or_else(|| task.variable("GIT_SSH").map(|p| quote(&p)));
    if words.is_empty() && own.is_some() {
        return None;
    }
    Some(
        format!("{} -o BatchMode=yes {}", own.unwrap_or_else(|| "ssh".to_owned()), words.join(" "))
            .trim_end()
            .to_owned(),
    )
}
