//! What is in an image, for auditors: CycloneDX and SPDX, from the package database and the files no package owns.

use serde_json::{Value, json};

use crate::config::when;
use crate::digest;
use crate::error::Result;
use crate::packages::{self, Package};
use crate::store::{Image, Store};
use crate::tree::{Kind, Tree};

struct Contents {
    packages: Vec<Package>,
    /// Path and SHA-256 of files that no package owns.
    files: Vec<(String, String)>,
    distribution: String,
}

fn contents(store: &Store, image: &Image) -> Result<Contents> {
    let tree = Tree::scan(&store.rootfs(image)?)?;
    let owned = packages::owned(&tree)?;
    let mut files = Vec::new();
    for (path, node) in &tree.0 {
        if node.kind == Kind::File && !owned.contains(path) && !path.starts_with(b"var/lib/dpkg/") {
            let digest = digest::of(&node.read(path)?).trim_start_matches("sha256:").to_owned();
            files.push((format!("/{}", String::from_utf8_lossy(path)), digest));
        }
    }
    let release = tree.text("etc/os-release").or_else(|| tree.text("usr/lib/os-release")).unwrap_or_default();
    let id = release
        .lines()
        .find_map(|line| line.strip_prefix("ID="))
        .unwrap_or("linux")
        .trim_matches('"')
        .to_owned();
    Ok(Contents { packages: packages::installed(&tree), files, distribution: id })
}

fn address(package: &Package, distribution: &str) -> String {
    let version = package.version.replace('+', "%2B").replace(':', "%3A");
    format!(
        "pkg:deb/{distribution}/{}@{version}?arch={}",
        package.name.replace('+', "%2B"),
        package.architecture
    )
}

/// CycloneDX 1.5.
pub fn cyclonedx(store: &Store, image: &Image) -> Result<Value> {
    let contents = contents(store, image)?;
    let mut components: Vec<Value> = Vec::new();
    for package in &contents.packages {
        let address = address(package, &contents.distribution);
        components.push(json!({
            "type": "library", "bom-ref": address, "name": package.name, "version": package.version, "purl": address,
            "publisher": package.maintainer,
            "properties": [{"name": "theseus:source", "value": package.source}],
        }));
    }
    for (path, digest) in &contents.files {
        components.push(json!({"type": "file", "bom-ref": format!("file:{path}"), "name": path, "hashes": [{"alg": "SHA-256", "content": digest}]}));
    }
    let hex = image.digest.trim_start_matches("sha256:");
    let serial = format!(
        "urn:uuid:{}-{}-4{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    );
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial,
        "version": 1,
        "metadata": {
            "timestamp": when(image.epoch),
            "tools": {"components": [{"type": "application", "name": "theseus", "version": env!("CARGO_PKG_VERSION")}]},
            "component": {"type": "container", "name": image.name, "version": image.digest},
        },
        "components": components,
    }))
}

/// SPDX 2.3.
pub fn spdx(store: &Store, image: &Image) -> Result<Value> {
    let contents = contents(store, image)?;
    let mut relations = vec![
        json!({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Image"}),
    ];
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-Image", "name": image.name, "versionInfo": image.digest, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false, "primaryPackagePurpose": "CONTAINER",
    })];
    for (number, package) in contents.packages.iter().enumerate() {
        let id = format!("SPDXRef-Package-{number}");
        packages.push(json!({
            "SPDXID": id, "name": package.name, "versionInfo": package.version, "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
            "supplier": if package.maintainer.is_empty() { "NOASSERTION".to_owned() } else { format!("Person: {}", package.maintainer) },
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": address(package, &contents.distribution)}],
        }));
        relations.push(json!({"spdxElementId": "SPDXRef-Image", "relationshipType": "CONTAINS", "relatedSpdxElement": id}));
    }
    let mut files = Vec::new();
    for (number, (path, digest)) in contents.files.iter().enumerate() {
        let id = format!("SPDXRef-File-{number}");
        files.push(json!({"SPDXID": id, "fileName": path, "checksums": [{"algorithm": "SHA256", "checksumValue": digest}]}));
        relations.push(json!({"spdxElementId": "SPDXRef-Image", "relationshipType": "CONTAINS", "relatedSpdxElement": id}));
    }
    Ok(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image.short(),
        "documentNamespace": format!("https://theseus.invalid/spdx/{}", image.digest),
        "creationInfo": {"created": when(image.epoch), "creators": [format!("Tool: theseus-{}", env!("CARGO_PKG_VERSION"))]},
        "packages": packages,
        "files": files,
        "relationships": relations,
    }))
}
