//! Which crate may use which: the table of docs/ARCHITECTURE.md, checked against `cargo metadata`.

use cargo_metadata::{DependencyKind, Metadata, Package};

use super::Finding;

/// What a crate may use.
struct Layer {
    /// The crate.
    name: &'static str,
    /// The crates of ours that it may use.
    ours: &'static [&'static str],
    /// Whether it may link DataFusion. A crate that doesn't need it builds in seconds without.
    datafusion: bool,
}

const LAYERS: [Layer; 9] = [
    Layer { name: "millstream-core", ours: &[], datafusion: false },
    Layer { name: "millstream-pipeline", ours: &["millstream-core"], datafusion: true },
    Layer { name: "millstream-engine", ours: &["millstream-core", "millstream-pipeline"], datafusion: true },
    Layer { name: "millstream-broker", ours: &["millstream-core"], datafusion: false },
    Layer { name: "millstream-adapters", ours: &["millstream-core"], datafusion: false },
    Layer { name: "millstream-gateway", ours: &["millstream-core"], datafusion: true },
    Layer {
        name: "millstream",
        ours: &[
            "millstream-core",
            "millstream-pipeline",
            "millstream-engine",
            "millstream-broker",
            "millstream-adapters",
            "millstream-gateway",
        ],
        datafusion: true,
    },
    Layer { name: "millstream-testkit", ours: &["millstream-core"], datafusion: false },
    Layer { name: "xtask", ours: &[], datafusion: false },
];

/// External crates that belong to some of ours only, by prefix: an engine's driver stays behind its adapter.
const RESERVED: [(&str, &[&str]); 9] = [
    ("anyhow", &["millstream", "xtask"]),
    ("axum", &["millstream-gateway"]),
    ("clap", &["millstream", "xtask"]),
    ("fjall", &["millstream-adapters"]),
    ("kafka-protocol", &["millstream-broker"]),
    ("pgwire", &["millstream-gateway"]),
    ("rdkafka", &["millstream-adapters"]),
    ("scylla", &["millstream-adapters"]),
    ("tokio-postgres", &["millstream-adapters"]),
];

/// An edge from one package to another.
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    development: bool,
}

/// Checks every dependency of every package, the form of the manifests, and that a crate has one integration-test binary at most.
pub fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let edges = package.dependencies.iter().map(|dependency| Edge {
            from: package.name.as_str(),
            to: dependency.name.as_str(),
            development: dependency.kind == DependencyKind::Development,
        });
        findings.extend(edges.filter_map(|edge| refuse(&edge)));
        findings.extend(one_test_binary(package));
        if !LAYERS.iter().any(|layer| layer.name == package.name.as_str()) {
            findings.push(Finding::new("layering", package.name.as_str(), "is not in the table of layers (xtask/src/tidy/layering.rs)"));
        }
    }
    findings
}

fn refuse(edge: &Edge) -> Option<Finding> {
    let layer = LAYERS.iter().find(|layer| layer.name == edge.from)?;
    let finding = |what: String| Some(Finding::new("layering", edge.from, what));
    if edge.to == "millstream-testkit" {
        return if edge.development { None } else { finding("uses millstream-testkit outside of its tests".to_owned()) };
    }
    if LAYERS.iter().any(|layer| layer.name == edge.to) && !layer.ours.contains(&edge.to) {
        return finding(format!("may not use {}: go through a port of millstream-core, and let the wiring connect them", edge.to));
    }
    if edge.to.starts_with("datafusion") && !layer.datafusion {
        return finding(format!("may not use {}: only the language, the engine, the SQL endpoint and the wiring know it", edge.to));
    }
    let (_, allowed) = RESERVED.iter().find(|(prefix, _)| edge.to == *prefix || edge.to.starts_with(&format!("{prefix}-")))?;
    if edge.development || allowed.contains(&edge.from) {
        return None;
    }
    finding(format!("may not use {}: it belongs to {}", edge.to, allowed.join(", ")))
}

fn one_test_binary(package: &Package) -> Option<Finding> {
    let tests: Vec<_> = package.targets.iter().filter(|target| target.is_test()).map(|target| target.name.as_str()).collect();
    let what = || format!("has {} integration-test binaries ({}): make them modules of one", tests.len(), tests.join(", "));
    (tests.len() > 1).then(|| Finding::new("one-test-binary", package.name.as_str(), what()))
}

#[cfg(test)]
mod tests;
