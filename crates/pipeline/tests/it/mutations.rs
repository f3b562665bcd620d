//! Whatever is done to the tokens of the flights pipeline, the language answers with a graph or located errors.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::{FLIGHTS, check};

/// The tokens of the pipeline as pieces of text; white space and comments hang on the piece before.
fn pieces() -> Vec<String> {
    let tokens = Tokenizer::new(&GenericDialect, FLIGHTS).with_unescape(false).tokenize().unwrap();
    let mut pieces: Vec<String> = Vec::new();
    for token in tokens {
        match (&token, pieces.last_mut()) {
            (Token::Whitespace(_), Some(last)) => last.push_str(&token.to_string()),
            _ => pieces.push(token.to_string()),
        }
    }
    pieces
}

fn answers(text: &str) -> bool {
    match check(text) {
        Ok(_) => true,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason:\n{text}");
            let lines = text.lines().count() as u64;
            for error in errors.iter() {
                assert!(error.line() >= 1 && error.line() <= lines + 1, "{error} is in line {} of {lines}:\n{text}", error.line());
            }
            assert!(errors.render(false).contains("pipeline.sql"));
            false
        }
    }
}

#[test]
fn the_pieces_are_the_pipeline() {
    assert!(answers(&pieces().concat()));
}

#[test]
fn deleting_any_token_gives_a_located_error_or_a_graph() {
    let pieces = pieces();
    let mut refused = 0;
    for at in 0..pieces.len() {
        let text: String = pieces.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, p)| format!("{p} ")).collect();
        refused += usize::from(!answers(&text));
    }
    assert!(refused > pieces.len() / 2, "only {refused} of {} deletions were noticed", pieces.len());
}

#[test]
fn swapping_and_doubling_tokens_never_panics() {
    let pieces = pieces();
    let mut seed: u64 = 2013;
    let mut below = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % n
    };
    for round in 0..400 {
        let mut changed = pieces.clone();
        for _ in 0..=below(3) {
            let (a, b) = (below(changed.len()), below(changed.len()));
            if round % 2 == 0 { changed.swap(a, b) } else { changed.insert(a, changed[b].clone()) }
        }
        answers(&changed.iter().map(|p| format!("{p} ")).collect::<String>());
    }
}

#[test]
fn deep_nesting_is_refused_and_long_chains_too() {
    let query = |expression: &str| {
        format!(
            "CREATE TABLE t (a INT NOT NULL) USING kafka OPTIONS (subscribe 't', value.format 'json');\n\
             CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (a) AS SELECT a, {expression} AS x FROM STREAM t;"
        )
    };
    for depth in [10, 100, 10_000] {
        answers(&query(&format!("{}a{}", "(".repeat(depth), ")".repeat(depth))));
        answers(&query(&format!("{}a{}", "abs(".repeat(depth), ")".repeat(depth))));
        answers(&query(&vec!["a"; depth].join(" + ")));
        answers(&query(&format!("{} a", "NOT ".repeat(depth))));
        answers(&query(&format!("{} a", "- ".repeat(depth))));
        answers(&query(&format!("{} 1 {}", "CASE WHEN a > 1 THEN ".repeat(depth), "END ".repeat(depth))));
        answers(&query(&vec!["a"; depth].join(" OR a = ")));
    }
}
