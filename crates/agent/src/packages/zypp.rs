//! What `zypper --xmlout` says.

use std::collections::BTreeMap;

/// A tag, and the text up to the next one.
pub struct Tag<'a> {
    /// With its slash, if it is an end.
    pub name: &'a str,
    attributes: &'a str,
    text: &'a str,
}

impl Tag<'_> {
    pub fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = after.split_once('"')?;
            if key.trim() == name {
                return Some(plain(value));
            }
            rest = after;
        }
    }

    pub fn text(&self) -> String {
        plain(self.text)
    }
}

/// Every tag of the text, in order. zypper writes `<` and `>` as nothing else.
pub fn tags(xml: &str) -> impl Iterator<Item = Tag<'_>> {
    xml.split('<').skip(1).filter_map(|part| {
        let (tag, text) = part.split_once('>')?;
        let (name, attributes) = tag.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((tag, ""));
        Some(Tag { name: name.trim_end_matches('/'), attributes, text })
    })
}

fn plain(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, is)| text.replace(entity, is))
}

/// What zypper told somebody who reads it.
pub fn messages(xml: &str) -> Vec<String> {
    tags(xml).filter(|tag| tag.name == "message").map(|tag| tag.text()).collect()
}

/// By what happens (`install`, `remove`, `upgrade` …): names, and the versions before and after.
pub type Changes = BTreeMap<String, BTreeMap<String, (String, String)>>;

/// Of the summary that zypper gives before it begins.
pub fn changes(xml: &str) -> Changes {
    let mut changes = Changes::new();
    let mut kind = None;
    for tag in tags(xml) {
        if let Some(to) = tag.name.strip_prefix("to-") {
            kind = Some(to.to_owned());
        } else if tag.name.starts_with("/to-") {
            kind = None;
        } else if let (Some(kind), "solvable") = (&kind, tag.name) {
            let of = |name| tag.attribute(name).unwrap_or_default();
            let versions = (of("edition-old"), of("edition"));
            changes.entry(kind.clone()).or_default().insert(of("name"), versions);
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = r#"<?xml version='1.0'?>
<stream>
<message type="error">No provider of &apos;a&lt;2&apos; found.</message>
<install-summary download-size="0" packages-to-change="2">
<to-upgrade>
<solvable type="package" name="one" edition="2-1" arch="noarch" edition-old="1-1" arch-old="noarch" summary="a &quot;b&quot;">
<description>name="not this"</description></solvable>
</to-upgrade>
<to-remove>
<solvable type="package" name="two" edition="1-1" arch="noarch"/>
</to-remove>
</install-summary>
</stream>
"#;

    #[test]
    fn a_summary_says_what_happens() {
        let changes = changes(SUMMARY);
        assert_eq!(changes["upgrade"]["one"], ("1-1".to_owned(), "2-1".to_owned()));
        assert_eq!(changes["remove"].keys().collect::<Vec<_>>(), ["two"]);
        assert_eq!(changes.len(), 2);
        assert_eq!(messages(SUMMARY), ["No provider of 'a<2' found."]);
    }

    #[test]
    fn nonsense_says_nothing() {
        for text in ["", "<", "a>b<c", "<to-install><solvable name=", "<solvable name=\"x\"/>"] {
            assert!(changes(text).is_empty(), "{text}");
        }
    }
}
