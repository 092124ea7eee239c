//! What a module accepts: written once, beside the module, as a constant; used by the controller to refuse
//! mistakes before a host is touched, and by the agent to read what it was given.

/// How far a module tells the truth in check mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Says exactly what it would change, and changes nothing.
    Full,
    /// Cannot know; the task is skipped in check mode.
    Skip,
    /// Changes nothing ever (queries); runs as usual.
    Query,
}

/// The type that an argument is converted to, by Ansible's rules of conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Str,
    /// Expanded: `~`, environment variables.
    Path,
    Bool,
    Int,
    Float,
    /// Elements of the given kind; a string is split at commas.
    List(&'static Kind),
    Dict,
    /// Left as it is.
    Raw,
    /// A string; structures are written as JSON.
    Json,
    /// A number with a unit (`10M`), as bytes.
    Bytes,
}

/// One argument.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// The default, as it would be written in a playbook (converted like any value).
    pub default: Option<&'static str>,
    /// Allowed values; empty: any. For lists: each element.
    pub choices: &'static [&'static str],
    pub aliases: &'static [&'static str],
    /// A secret: masked in every output.
    pub no_log: bool,
    /// Accepted and read by the controller only; never sent to the host.
    pub controller_only: bool,
    /// Specification of the keys of a dict or of each dict in a list; empty: anything.
    pub options: &'static [Arg],
    /// Which of those keys exclude each other, and of which one is needed.
    pub exclusive: &'static [&'static [&'static str]],
    pub one_of: &'static [&'static [&'static str]],
}

impl Arg {
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            required: false,
            default: None,
            choices: &[],
            aliases: &[],
            no_log: false,
            controller_only: false,
            options: &[],
            exclusive: &[],
            one_of: &[],
        }
    }
    pub const fn str(name: &'static str) -> Self {
        Self::new(name, Kind::Str)
    }
    pub const fn path(name: &'static str) -> Self {
        Self::new(name, Kind::Path)
    }
    pub const fn bool(name: &'static str) -> Self {
        Self::new(name, Kind::Bool)
    }
    pub const fn int(name: &'static str) -> Self {
        Self::new(name, Kind::Int)
    }
    pub const fn float(name: &'static str) -> Self {
        Self::new(name, Kind::Float)
    }
    pub const fn dict(name: &'static str) -> Self {
        Self::new(name, Kind::Dict)
    }
    pub const fn raw(name: &'static str) -> Self {
        Self::new(name, Kind::Raw)
    }
    /// A list of strings; [`Arg::of`] changes the element's kind.
    pub const fn list(name: &'static str) -> Self {
        Self::new(name, Kind::List(&Kind::Str))
    }
    pub const fn of(mut self, element: &'static Kind) -> Self {
        self.kind = Kind::List(element);
        self
    }
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
    pub const fn no_log(mut self) -> Self {
        self.no_log = true;
        self
    }
    pub const fn controller_only(mut self) -> Self {
        self.controller_only = true;
        self
    }
    pub const fn options(mut self, options: &'static [Arg]) -> Self {
        self.options = options;
        self
    }
    /// By its name or an alias.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
    pub const fn exclusive(mut self, sets: &'static [&'static [&'static str]]) -> Self {
        self.exclusive = sets;
        self
    }
    pub const fn one_of(mut self, sets: &'static [&'static [&'static str]]) -> Self {
        self.one_of = sets;
        self
    }
}

/// Two lists of arguments as one: what several modules share, and what is each one's own.
pub const fn joined<const N: usize>(one: &[Arg], other: &[Arg]) -> [Arg; N] {
    let mut all = [Arg::str(""); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < one.len() { one[at] } else { other[at - one.len()] };
        at += 1;
    }
    all
}

/// `(argument, value, these are then required, any one of them is enough)`.
pub type RequiredIf = (&'static str, &'static str, &'static [&'static str], bool);

/// `(argument, these are needed where it is given)`.
pub type RequiredBy = (&'static str, &'static [&'static str]);

/// What a module asks for in words of its own: `(argument, value, one of these is needed, what is said)`; no argument: in
/// any case.
pub type Asked = (&'static str, &'static str, &'static [&'static str], &'static str);

/// One module's arguments and the rules between them.
#[derive(Clone, Copy, Debug)]
pub struct ModuleSpec {
    /// Short name: `file`.
    pub name: &'static str,
    /// Collection: `ansible.builtin`.
    pub collection: &'static str,
    pub args: &'static [Arg],
    pub check: Check,
    /// Also takes `mode`, `owner`, `group`, `seuser`, … (see [`FILE_ARGS`]).
    pub file_args: bool,
    /// `module: free text` is put into this argument (`_raw_params` for `command`).
    pub free_form: Option<&'static str>,
    /// Any further argument is accepted (`set_fact`).
    pub open: bool,
    /// Further arguments are one of these modules' own (`package`).
    pub like: &'static [&'static ModuleSpec],
    pub mutually_exclusive: &'static [&'static [&'static str]],
    pub required_together: &'static [&'static [&'static str]],
    pub required_one_of: &'static [&'static [&'static str]],
    pub required_if: &'static [RequiredIf],
    pub required_by: &'static [RequiredBy],
    pub asked: &'static [Asked],
}

impl ModuleSpec {
    pub const fn builtin(name: &'static str, args: &'static [Arg]) -> Self {
        Self {
            name,
            collection: "ansible.builtin",
            args,
            check: Check::Full,
            file_args: false,
            free_form: None,
            open: false,
            like: &[],
            mutually_exclusive: &[],
            required_together: &[],
            required_one_of: &[],
            required_if: &[],
            required_by: &[],
            asked: &[],
        }
    }
    pub const fn collection(mut self, collection: &'static str) -> Self {
        self.collection = collection;
        self
    }
    pub const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }
    pub const fn file_args(mut self) -> Self {
        self.file_args = true;
        self
    }
    pub const fn free_form(mut self, argument: &'static str) -> Self {
        self.free_form = Some(argument);
        self
    }
    pub const fn open(mut self) -> Self {
        self.open = true;
        self
    }
    pub const fn mutually_exclusive(mut self, sets: &'static [&'static [&'static str]]) -> Self {
        self.mutually_exclusive = sets;
        self
    }
    pub const fn required_together(mut self, sets: &'static [&'static [&'static str]]) -> Self {
        self.required_together = sets;
        self
    }
    pub const fn required_one_of(mut self, sets: &'static [&'static [&'static str]]) -> Self {
        self.required_one_of = sets;
        self
    }
    pub const fn required_if(mut self, rules: &'static [RequiredIf]) -> Self {
        self.required_if = rules;
        self
    }

    pub const fn required_by(mut self, rules: &'static [RequiredBy]) -> Self {
        self.required_by = rules;
        self
    }
    pub const fn asked(mut self, rules: &'static [Asked]) -> Self {
        self.asked = rules;
        self
    }
    pub const fn like(mut self, modules: &'static [&'static ModuleSpec]) -> Self {
        self.open = true;
        self.like = modules;
        self
    }

    /// Every argument it takes, the common file arguments included.
    pub fn all_args(&self) -> impl Iterator<Item = &'static Arg> + use<> {
        let common: &'static [Arg] = if self.file_args { FILE_ARGS } else { &[] };
        self.args.iter().chain(common.iter())
    }

    /// The argument of this name or alias.
    pub fn arg(&self, name: &str) -> Option<&'static Arg> {
        self.all_args().find(|arg| arg.is_called(name))
    }
}

/// What every module that makes files takes besides its own arguments.
pub const FILE_ARGS: &[Arg] = &[
    Arg::raw("mode"),
    Arg::str("owner"),
    Arg::str("group"),
    Arg::str("seuser"),
    Arg::str("serole"),
    Arg::str("selevel"),
    Arg::str("setype"),
    Arg::str("attributes").aliases(&["attr"]),
    Arg::bool("unsafe_writes").default("false"),
];
