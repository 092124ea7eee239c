//! Which tasks `--tags` and `--skip-tags` select.

/// The selection of a run.
#[derive(Clone, Debug)]
pub struct Tags {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Default for Tags {
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

impl Tags {
    /// Each may hold several names with commas. Nothing given: everything that is not `never`.
    pub fn new(only: &[String], skip: &[String]) -> Self {
        let split = |names: &[String]| -> Vec<String> {
            let names = names.iter().flat_map(|text| text.split(','));
            names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        let mut only = split(only);
        if only.is_empty() {
            only.push("all".to_owned());
        }
        Self { only, skip: split(skip) }
    }

    pub fn only(&self) -> &[String] {
        &self.only
    }
    pub fn skip(&self) -> &[String] {
        &self.skip
    }

    /// Does a task with these tags run?
    pub fn selects(&self, tags: &[impl AsRef<str>]) -> bool {
        let has = |name: &str| tags.iter().any(|tag| tag.as_ref() == name);
        let untagged = tags.is_empty() || tags.iter().all(|tag| tag.as_ref() == "untagged");
        let tagged = !untagged;
        let any = |names: &[String]| names.iter().any(|name| has(name));
        let wants = |name: &str| self.only.iter().any(|wanted| wanted == name);
        let refuses = |name: &str| self.skip.iter().any(|refused| refused == name);
        let named = any(&self.only) || (untagged && wants("untagged"));
        let run = (has("always") && !refuses("always"))
            || (wants("all") && !has("never"))
            || named
            || (wants("tagged") && tagged && !has("never"));
        if !run || self.skip.is_empty() {
            return run;
        }
        let skipped = if refuses("all") {
            !has("always") || refuses("always")
        } else {
            any(&self.skip) || (refuses("tagged") && tagged) || (refuses("untagged") && untagged)
        };
        !skipped
    }
}

#[cfg(test)]
mod tests {
    use super::Tags;

    /// tags of the task, --tags, --skip-tags, runs (as ansible-playbook 2.19 does)
    const CASES: &[(&str, &str, &str, bool)] = &[
        ("", "", "", true),
        ("a", "", "", true),
        ("never", "", "", false),
        ("never a", "", "", false),
        ("never a", "a", "", true),
        ("never", "never", "", true),
        ("never", "all", "", false),
        ("always", "a", "", true),
        ("always", "a", "always", false),
        ("always a", "", "a", false),
        ("always", "", "all", true),
        ("a", "", "all", false),
        ("", "tagged", "", false),
        ("a", "tagged", "", true),
        ("never a", "tagged", "", false),
        ("always", "tagged", "", true),
        ("", "untagged", "", true),
        ("a", "untagged", "", false),
        ("always", "untagged", "", true),
        ("", "", "untagged", false),
        ("a", "", "tagged", false),
        ("a b", "b", "a", false),
        ("a b", "b,c", "", true),
        ("a", "b", "", false),
        ("", "a", "", false),
    ];

    #[test]
    fn selection() {
        for (tags, only, skip, runs) in CASES {
            let tags: Vec<&str> = tags.split_whitespace().collect();
            let selection = Tags::new(&[(*only).to_owned()], &[(*skip).to_owned()]);
            assert_eq!(selection.selects(&tags), *runs, "tags {tags:?} --tags {only:?} --skip-tags {skip:?}");
        }
    }
}
