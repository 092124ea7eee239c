//! The lines of fstab. Comments, and lines about other places, stay as they are.

/// One line, its fields as people write them (blanks are blanks).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub src: String,
    pub path: String,
    pub fstype: String,
    pub opts: String,
    pub dump: String,
    pub passno: String,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        if line.trim_start().starts_with('#') {
            return None;
        }
        let fields: Vec<String> = line.split_whitespace().map(decoded).collect();
        let [src, path, fstype, opts, rest @ ..] = fields.as_slice() else { return None };
        let number = |i: usize| rest.get(i).cloned().unwrap_or_else(|| "0".to_owned());
        Some(Self {
            src: src.clone(),
            path: path.clone(),
            fstype: fstype.clone(),
            opts: opts.clone(),
            dump: number(0),
            passno: number(1),
        })
    }

    fn line(&self) -> String {
        let [src, path, fstype, opts] = [&self.src, &self.path, &self.fstype, &self.opts].map(|f| encoded(f));
        format!("{src} {path} {fstype} {opts} {} {}\n", self.dump, self.passno)
    }

    /// Swap areas and their like have no path to be told apart by.
    fn is_about(&self, path: &str, src: Option<&str>) -> bool {
        self.path == path && (path != "none" && path != "swap" || src.is_none_or(|src| self.src == src))
    }
}

pub(super) fn set(text: &str, wanted: &Entry) -> String {
    let mut found = false;
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        match Entry::parse(line).filter(|entry| entry.is_about(&wanted.path, Some(&wanted.src))) {
            None => out.push_str(line),
            Some(entry) => {
                found = true;
                if entry == *wanted { out.push_str(line) } else { out.push_str(&wanted.line()) }
            }
        }
    }
    if !found {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&wanted.line());
    }
    out
}

pub(super) fn unset(text: &str, path: &str, src: Option<&str>) -> String {
    let about = |line: &&str| Entry::parse(line).is_some_and(|entry| entry.is_about(path, src));
    text.split_inclusive('\n').filter(|line| !about(line)).collect()
}

fn encoded(field: &str) -> String {
    field.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('\n', "\\012")
}

/// Octal escapes, as in fstab and in the kernel's tables.
pub(super) fn decoded(field: &str) -> String {
    let mut out = Vec::new();
    let bytes = field.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'\\')
            .then(|| field.get(i + 1..i + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok()))
            .flatten();
        out.push(code.unwrap_or(bytes[i]));
        i += if code.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Entry, set, unset};

    fn entry(path: &str, opts: &str) -> Entry {
        let [src, fstype] = ["/dev/a b", "ext4"].map(str::to_owned);
        let (path, opts) = (path.to_owned(), opts.to_owned());
        Entry { src, path, fstype, opts, dump: "0".to_owned(), passno: "0".to_owned() }
    }

    #[test]
    fn a_line_is_set_once_and_only_rewritten_when_it_differs() {
        let text = "# table\n/dev/a\\040b   /x ext4 defaults\n/dev/c /y ext4 ro 0 0";
        assert_eq!(set(text, &entry("/x", "defaults")), text);
        let changed = set(text, &entry("/x", "ro"));
        assert_eq!(changed, "# table\n/dev/a\\040b /x ext4 ro 0 0\n/dev/c /y ext4 ro 0 0");
        assert_eq!(
            set("/dev/c /y ext4 ro", &entry("/z z", "ro")),
            "/dev/c /y ext4 ro\n/dev/a\\040b /z\\040z ext4 ro 0 0\n"
        );
        assert_eq!(unset(text, "/x", None), "# table\n/dev/c /y ext4 ro 0 0");
    }
}
