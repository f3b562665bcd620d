//! The order in which statements are checked: each after those that it reads.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Node};
use crate::diagnostic::Problem;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Begun,
    Done,
}

impl<'a> Checker<'a> {
    /// The names of all nodes in that order; those of a cycle, and what reads them, are left out.
    pub(super) fn order(&mut self, nodes: &BTreeMap<String, Node<'a>>) -> Vec<String> {
        let mut search =
            Search { nodes, state: BTreeMap::new(), path: Vec::new(), order: Vec::new(), cyclic: BTreeSet::new(), problems: Vec::new() };
        // In the order of the text, so that a cycle is shown where it closes.
        let mut names: Vec<&String> = nodes.keys().collect();
        names.sort_by_key(|name| nodes.get(*name).map(|n| position(n)));
        for name in names {
            search.visit(name);
        }
        let cyclic = search.cyclic;
        self.problems.extend(search.problems);
        search.order.into_iter().filter(|name| !cyclic.contains(name)).collect()
    }
}

fn position(node: &Node) -> (usize, u64, u64) {
    let place = match node {
        Node::Table { head, .. } | Node::Streaming { head, .. } | Node::Report { head, .. } => head.name.place,
        Node::View { text } => text.query.place,
    };
    (place.file, place.span.start.line, place.span.start.column)
}

struct Search<'n, 'a> {
    nodes: &'n BTreeMap<String, Node<'a>>,
    state: BTreeMap<&'n str, Visit>,
    path: Vec<&'n str>,
    order: Vec<String>,
    cyclic: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl<'n> Search<'n, '_> {
    fn visit(&mut self, name: &'n str) {
        if self.state.contains_key(name) {
            return;
        }
        let Some(node) = self.nodes.get(name) else { return };
        self.state.insert(name, Visit::Begun);
        self.path.push(name);
        for relation in node.queries().into_iter().flat_map(|q| &q.named.relations) {
            let Some((read, _)) = self.nodes.get_key_value(&relation.name) else { continue };
            match self.state.get(read.as_str()) {
                Some(Visit::Begun) => {
                    let from = self.path.iter().position(|n| n == read).unwrap_or(0);
                    let cycle: Vec<_> = self.path.get(from..).unwrap_or_default().to_vec();
                    self.cyclic.extend(cycle.iter().map(|n| (*n).to_owned()));
                    let through: Vec<_> = cycle.iter().skip(1).chain([&read.as_str()]).map(|n| format!("`{n}`")).collect();
                    let message = format!("`{read}` reads itself: it reads {}", through.join(", which reads "));
                    let message = if cycle.len() == 1 { format!("`{read}` reads itself") } else { message };
                    self.problems.push(
                        Problem::new("millstream::cycle", relation.place, message)
                            .help("a table is made from others: take this one out, or read what feeds it"),
                    );
                }
                Some(Visit::Done) => {}
                None => self.visit(read),
            }
        }
        self.path.pop();
        self.state.insert(name, Visit::Done);
        self.order.push(name.to_owned());
    }
}
