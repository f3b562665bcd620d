//! The form of the manifests: lints, versions and profile come from the workspace, and no dependency is left over.

use std::path::Path;

use cargo_metadata::{Metadata, Package};

use super::{Document, Finding};
use crate::workspace;

/// Checks every package's manifest against the text of its sources.
pub fn check(metadata: &Metadata, documents: &[Document]) -> Vec<Finding> {
    metadata.packages.iter().flat_map(|package| package_findings(package, documents)).collect()
}

fn package_findings(package: &Package, documents: &[Document]) -> Vec<Finding> {
    let Some(folder) = package.manifest_path.parent() else { return Vec::new() };
    let folder = folder.as_std_path().strip_prefix(workspace::root()).unwrap_or(folder.as_std_path()).to_path_buf();
    let manifest = documents.iter().find(|document| document.path == folder.join("Cargo.toml")).map_or("", |document| &document.text);
    let sources = || documents.iter().filter(|document| document.is_rust() && document.path.starts_with(&folder));
    let mut findings = form(&folder, manifest);
    for dependency in &package.dependencies {
        let name = dependency.rename.as_deref().unwrap_or(&dependency.name).replace('-', "_");
        if !sources().any(|document| mentions(&document.text, &name)) {
            let what = format!("does not use {}: take it out of the manifest", dependency.name);
            findings.push(Finding::new("unused-dependency", package.name.as_str(), what));
        }
    }
    findings
}

fn form(folder: &Path, manifest: &str) -> Vec<Finding> {
    let place = folder.join("Cargo.toml").display().to_string();
    let mut findings = Vec::new();
    if !manifest.contains("[lints]\nworkspace = true") {
        findings.push(Finding::new("manifest", &place, "has no `[lints] workspace = true`"));
    }
    let mut in_dependencies = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && line.contains('=') && !line.contains("workspace = true") && !line.contains(".workspace") {
            let what = "names a version of its own: put it into [workspace.dependencies]";
            findings.push(Finding::new("manifest", &place, what).at(index + 1));
        }
    }
    findings
}

/// Whether the text uses the crate `name`: as a path, in a `use`, or in an attribute.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(start, found)| {
        let before = text.get(..start).and_then(|t| t.chars().next_back());
        let after = text.get(start + found.len()..).unwrap_or_default();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            && [":", ";", " as ", "{", ",", "!", "("].iter().any(|next| after.starts_with(next))
    })
}

#[cfg(test)]
mod tests;
