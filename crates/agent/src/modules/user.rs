//! `user`: users, with the host's own tools; homes and keys by ourselves.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::accounts::User;
use crate::module::{Failure, Module, Outcome, Task};
use crate::shadow::{self, Secret, home, key};

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("user", ARGS), run };

const ARGS: &[Arg] = &[
    Arg::str("name").required().aliases(&["user"]),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::int("uid"),
    Arg::bool("non_unique").default("false"),
    Arg::str("group"),
    Arg::list("groups"),
    Arg::bool("append").default("false"),
    Arg::str("comment"),
    Arg::path("home"),
    Arg::path("shell"),
    Arg::str("password").no_log(),
    Arg::str("login_class"),
    Arg::int("password_expire_max"),
    Arg::int("password_expire_min"),
    Arg::int("password_expire_warn"),
    Arg::int("password_expire_account_disable"),
    Arg::bool("hidden"),
    Arg::str("seuser"),
    Arg::bool("force").default("false"),
    Arg::bool("remove").default("false"),
    Arg::bool("create_home").default("true").aliases(&["createhome"]),
    Arg::str("skeleton"),
    Arg::bool("system").default("false"),
    Arg::bool("move_home").default("false"),
    Arg::bool("generate_ssh_key").default("false"),
    Arg::int("ssh_key_bits"),
    Arg::str("ssh_key_type").default("rsa"),
    Arg::path("ssh_key_file"),
    Arg::str("ssh_key_comment").default("ansible-generated on $HOSTNAME"),
    Arg::str("ssh_key_passphrase").no_log(),
    Arg::str("update_password").default("always").choices(&["always", "on_create"]),
    Arg::float("expires"),
    Arg::bool("password_lock"),
    Arg::bool("local").default("false"),
    Arg::str("profile"),
    Arg::str("authorization"),
    Arg::str("role"),
    Arg::str("umask"),
    Arg::int("uid_min"),
    Arg::int("uid_max"),
];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let name = args.string("name");
    if args.bool("local") && args.has("groups") && args.bool("append") && args.strings("groups").is_empty() {
        return Err("'groups' is required when 'append' is used with 'local'".into());
    }
    if args.str("password").is_some_and(shadow::looks_plain) {
        task.warn(
            "The input password appears not to have been hashed. The 'password' argument must be encrypted for this module to work properly.",
        );
    }
    if args.bool("append") && !args.has("groups") {
        task.warn("'append' is set, but no 'groups' are specified. Use 'groups' for appending new groups.");
    }
    let there = find(args, task);
    let mut outcome = Outcome::default().with("name", name.as_str()).with("state", args.string("state"));
    match (args.string("state").as_str(), there) {
        ("absent", None) => return Ok(outcome),
        ("absent", Some(_)) if task.check => return Ok(Outcome::changed(true)),
        ("absent", Some(user)) => {
            outcome.set("force", args.bool("force"));
            outcome.set("remove", args.bool("remove"));
            delete(args, task, &user, &mut outcome)?;
            outcome.changed = true;
            return Ok(outcome);
        }
        (_, None) if task.check => {
            check_groups(args, task)?;
            return Ok(Outcome::changed(true));
        }
        (_, None) => {
            create(args, task, &name)?;
            outcome.changed = true;
            outcome.set("system", args.bool("system"));
            outcome.set("create_home", args.bool("create_home"));
        }
        (_, Some(user)) => {
            outcome.set("append", args.bool("append"));
            outcome.set("move_home", args.bool("move_home"));
            outcome.changed = modify(args, task, &user)?;
        }
    }
    if args.has("password") {
        outcome.set("password", "NOT_LOGGING_PASSWORD");
    }
    afterwards(args, task, &mut outcome)?;
    Ok(outcome)
}

fn find(args: &Args, task: &mut Task<'_>) -> Option<User> {
    let name = args.string("name");
    let accounts = task.cache.accounts();
    if args.bool("local") {
        accounts.users().iter().find(|u| u.name == name).cloned()
    } else {
        accounts.user(&name)
    }
}

/// Key, home and what is told of the user.
fn afterwards(args: &Args, task: &mut Task<'_>, outcome: &mut Outcome) -> Result<(), Failure> {
    let Some(user) = find(args, task) else { return Ok(()) };
    if args.bool("create_home") && !Path::new(&user.home).exists() && !user.home.is_empty() {
        if !task.check {
            make_home(args, task, &user)?;
        }
        outcome.changed = true;
    }
    outcome.set("uid", user.uid);
    outcome.set("group", user.gid);
    outcome.set("comment", user.gecos.as_str());
    outcome.set("home", user.home.as_str());
    outcome.set("shell", user.shell.as_str());
    if args.has("groups") {
        outcome.set("groups", args.strings("groups").join(","));
    }
    if args.bool("generate_ssh_key") {
        outcome.changed |= key::make(args, task, &user)?;
        key::tell(args, task, &user, outcome)?;
    }
    Ok(())
}

fn make_home(args: &Args, task: &mut Task<'_>, user: &User) -> Result<(), Failure> {
    let skeleton = args.str("skeleton").unwrap_or("/etc/skel").to_owned();
    let umask = args
        .str("umask")
        .map(|u| u32::from_str_radix(u, 8))
        .transpose()
        .map_err(|e| format!("umask: {e}"))?;
    home::create(task, Path::new(&user.home), Path::new(&skeleton), (user.uid, user.gid), umask)
}

fn delete(args: &Args, task: &mut Task<'_>, user: &User, outcome: &mut Outcome) -> Result<(), Failure> {
    let mut argv = vec!["userdel".to_owned()];
    // Homes and mail are removed by ourselves: the layer keeps them.
    if args.bool("force") && !args.bool("remove") {
        argv.push("-f".to_owned());
    }
    argv.push(user.name.clone());
    let output = shadow::run(task, &argv)?;
    let output = shadow::check(output, &user.name)?;
    let said = output.stderr_text();
    if !said.is_empty() {
        outcome.set("stderr", said);
    }
    if args.bool("remove") {
        let home = Path::new(&user.home);
        use std::os::unix::fs::MetadataExt;
        let own = home.metadata().is_ok_and(|m| m.is_dir() && m.uid() == user.uid);
        let shared = task.cache.accounts().users().iter().any(|u| u.home == user.home);
        if home.components().count() > 1 && (own || args.bool("force")) && !shared {
            task.recorder.remove(home)?;
        }
        for dir in ["/var/mail", "/var/spool/mail"] {
            let spool = Path::new(dir).join(&user.name);
            if spool.symlink_metadata().is_ok() {
                task.recorder.remove(&spool)?;
            }
        }
    }
    Ok(())
}

/// Names of the groups asked for, checked.
fn check_groups(args: &Args, task: &mut Task<'_>) -> Result<Vec<String>, Failure> {
    let accounts = task.cache.accounts();
    let mut known = |wanted: &str| {
        let found =
            accounts.group(wanted).or_else(|| wanted.parse().ok().and_then(|gid| accounts.group_by_gid(gid)));
        found.map(|g| g.name).ok_or_else(|| Failure::new(format!("Group {wanted} does not exist")))
    };
    if let Some(group) = args.str("group") {
        known(group)?;
    }
    let mut names = Vec::new();
    for wanted in args.strings("groups").iter().map(|g| g.trim()).filter(|g| !g.is_empty()) {
        let name = known(wanted)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn create(args: &Args, task: &mut Task<'_>, name: &str) -> Result<(), Failure> {
    let groups = check_groups(args, task)?;
    let mut argv = vec!["useradd".to_owned()];
    let mut option = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([flag.to_owned(), value]);
        }
    };
    option("-u", args.int("uid").map(|n| n.to_string()));
    option("-Z", args.str("seuser").map(str::to_owned));
    option("-g", args.str("group").map(str::to_owned));
    option("-G", (!groups.is_empty()).then(|| groups.join(",")));
    option("-c", args.str("comment").map(str::to_owned));
    option("-d", args.str("home").map(str::to_owned));
    option("-s", args.str("shell").map(str::to_owned));
    option("-f", args.int("password_expire_account_disable").map(|n| n.to_string()));
    option("-K", args.int("uid_min").map(|n| format!("UID_MIN={n}")));
    option("-K", args.int("uid_max").map(|n| format!("UID_MAX={n}")));
    if let Some(expires) = args.float("expires") {
        option("-e", Some(expiry_date(expires)?));
    }
    if args.bool("non_unique") && args.has("uid") {
        argv.push("-o".to_owned());
    }
    if !args.has("group") && task.cache.accounts().group(name).is_some() {
        // A group of that name is there already; the user gets the default one.
        argv.push("-N".to_owned());
    }
    if args.bool("system") {
        argv.push("-r".to_owned());
    }
    argv.extend(["-M".to_owned(), name.to_owned()]);
    shadow::must(task, &argv, name)?;
    if let Some(password) = args.str("password") {
        let lock = if args.bool("password_lock") { "!" } else { "" };
        set_password(task, name, &format!("{lock}{password}"))?;
    } else if args.bool("password_lock") {
        shadow::must(task, &["usermod".into(), "-L".into(), name.into()], name)?;
    }
    if let Some(argv) = ageing(args, name, &shadow::secret(name).unwrap_or_default()) {
        shadow::must(task, &argv, name)?;
    }
    Ok(())
}

/// By standard input: arguments can be read by everybody.
fn set_password(task: &mut Task<'_>, name: &str, hash: &str) -> Result<(), Failure> {
    if hash.contains([':', '\n']) || name.contains([':', '\n']) {
        return Err("a password must not contain `:` or a line's end".into());
    }
    let output = shadow::run_with(task, &["chpasswd".into(), "-e".into()], Some(format!("{name}:{hash}\n")))?;
    shadow::check(output, name).map(drop)
}

/// Negative: never.
fn expiry_date(seconds: f64) -> Result<String, Failure> {
    if seconds < 0.0 {
        return Ok(String::new());
    }
    let days = (seconds / 86400.0).floor() as i64;
    shadow::date(days).ok_or_else(|| Failure::new(format!("Invalid value for 'expires' {seconds}")))
}

fn ageing(args: &Args, name: &str, now: &Secret) -> Option<Vec<String>> {
    let mut argv = vec!["chage".to_owned()];
    for (key, flag, current) in [
        ("password_expire_min", "-m", now.min),
        ("password_expire_max", "-M", now.max),
        ("password_expire_warn", "-W", now.warn),
    ] {
        if let Some(wanted) = args.int(key).filter(|n| Some(*n) != current) {
            argv.extend([flag.to_owned(), wanted.to_string()]);
        }
    }
    argv.push(name.to_owned());
    (argv.len() > 2).then_some(argv)
}

/// Changes what differs. Returns whether anything did.
fn modify(args: &Args, task: &mut Task<'_>, user: &User) -> Result<bool, Failure> {
    let groups = check_groups(args, task)?;
    let secret = shadow::secret(&user.name).unwrap_or_default();
    let mut options = account_options(args, task, user)?;
    options.extend(group_options(args, task, user, &groups));
    if let Some(expires) = args.float("expires") {
        let wanted = (expires >= 0.0).then_some((expires / 86400.0).floor() as i64);
        if wanted != secret.expires {
            options.extend(["-e".to_owned(), expiry_date(expires)?]);
        }
    }
    if let Some(days) = args.int("password_expire_account_disable").filter(|d| Some(*d) != secret.inactive) {
        options.extend(["-f".to_owned(), days.to_string()]);
    }
    let locked = secret.password.starts_with('!');
    let lock = args.has("password_lock").then(|| args.bool("password_lock")).filter(|lock| *lock != locked);
    let password = args.str("password").filter(|wanted| {
        args.string("update_password") == "always"
            && secret.password.trim_start_matches('!') != wanted.trim_start_matches('!')
    });
    if password.is_none()
        && let Some(lock) = lock
    {
        options.push(if lock { "-L" } else { "-U" }.to_owned());
    }
    let ageing = ageing(args, &user.name, &secret);
    let changed = !options.is_empty() || password.is_some() || ageing.is_some();
    if task.check || !changed {
        return Ok(changed);
    }
    if !options.is_empty() {
        let mut argv = vec!["usermod".to_owned()];
        argv.extend(options);
        argv.push(user.name.clone());
        shadow::must(task, &argv, &user.name)?;
        follow(args, task, user)?;
    }
    if let Some(password) = password {
        let locked = lock.unwrap_or(locked && !args.has("password_lock") && password.starts_with('!'));
        let mark = if locked && !password.starts_with('!') { "!" } else { "" };
        set_password(task, &user.name, &format!("{mark}{password}"))?;
    }
    if let Some(argv) = ageing {
        shadow::must(task, &argv, &user.name)?;
    }
    Ok(true)
}

fn account_options(args: &Args, task: &mut Task<'_>, user: &User) -> Result<Vec<String>, Failure> {
    let mut options = Vec::new();
    if let Some(uid) = args.int("uid").filter(|uid| *uid != i64::from(user.uid)) {
        options.extend(["-u".to_owned(), uid.to_string()]);
        if args.bool("non_unique") {
            options.push("-o".to_owned());
        }
    }
    if let Some(group) = args.str("group") {
        let accounts = task.cache.accounts();
        let wanted =
            accounts.group(group).or_else(|| group.parse().ok().and_then(|gid| accounts.group_by_gid(gid)));
        let gid = wanted.ok_or_else(|| format!("Group {group} does not exist"))?.gid;
        if gid != user.gid {
            options.extend(["-g".to_owned(), gid.to_string()]);
        }
    }
    for (key, flag, current) in
        [("comment", "-c", &user.gecos), ("home", "-d", &user.home), ("shell", "-s", &user.shell)]
    {
        if let Some(wanted) = args.str(key).filter(|wanted| wanted != current) {
            options.extend([flag.to_owned(), wanted.to_owned()]);
        }
    }
    if let Some(seuser) = args.str("seuser").filter(|_| Path::new("/sys/fs/selinux/enforce").exists()) {
        options.extend(["-Z".to_owned(), seuser.to_owned()]);
    }
    Ok(options)
}

/// The primary group does not count among the others.
fn group_options(args: &Args, task: &mut Task<'_>, user: &User, wanted: &[String]) -> Vec<String> {
    if !args.has("groups") {
        return Vec::new();
    }
    let accounts = task.cache.accounts();
    let is_primary = |name: &str| accounts.groups().iter().any(|g| g.name == name && g.gid == user.gid);
    let wanted: Vec<&String> = wanted.iter().filter(|name| !is_primary(name)).collect();
    let current: Vec<&str> = accounts
        .groups()
        .iter()
        .filter(|g| g.members.contains(&user.name))
        .map(|g| g.name.as_str())
        .collect();
    let missing = wanted.iter().any(|name| !current.contains(&name.as_str()));
    let surplus = current.iter().any(|name| !is_primary(name) && !wanted.iter().any(|w| w == name));
    let list = || wanted.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(",");
    match args.bool("append") {
        true if missing => vec!["-a".to_owned(), "-G".to_owned(), list()],
        false if missing || surplus => vec!["-G".to_owned(), list()],
        _ => Vec::new(),
    }
}

/// After the database says something new: the home moves along, and files in it get the new owner.
fn follow(args: &Args, task: &mut Task<'_>, old: &User) -> Result<(), Failure> {
    let Some(new) = find(args, task) else { return Ok(()) };
    let (from, to) = (Path::new(&old.home), Path::new(&new.home));
    if from != to && args.bool("move_home") && from.is_dir() && to.symlink_metadata().is_err() {
        move_tree(task, from, to)?;
    }
    if (old.uid, old.gid) != (new.uid, new.gid) && to.is_dir() {
        home::give(task, to, (old.uid, old.gid), (new.uid, new.gid))?;
    }
    Ok(())
}

fn move_tree(task: &mut Task<'_>, from: &Path, to: &Path) -> Result<(), Failure> {
    let Err(error) = task.recorder.rename(from, to) else { return Ok(()) };
    if error.raw_os_error() != Some(rustix::io::Errno::XDEV.raw_os_error()) {
        return Err(error.into());
    }
    // Another file system: copied, then taken away.
    let argv = ["cp", "-a", "--", &from.to_string_lossy(), &to.to_string_lossy()].map(str::to_owned);
    crate::children::expect(crate::children::act(task, &argv.each_ref().map(String::as_str))?)?;
    task.recorder.remove(from)?;
    Ok(())
}
