#![allow(clippy::unwrap_used, reason = "tests")]
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_expr::expressions::{col, lit};

use super::*;

fn column(name: &str) -> Arc<dyn PhysicalExpr> {
    col(name, &Schema::new(vec![Field::new(name, DataType::Utf8, true)])).unwrap()
}

#[test]
fn a_column_that_a_planner_has_made_up_is_not_named() {
    let cast: Arc<dyn PhysicalExpr> = Arc::new(CastExpr::new(column("text"), DataType::Int32, None));
    assert_eq!(blamed("no number", Some("ratio"), cast.as_ref()), "column ratio: no number, in CAST(text AS INT)");
    for made_up in [Some("__common_expr_1"), Some("column 3"), Some("input.a / input.b"), None] {
        assert_eq!(blamed("no number", made_up, cast.as_ref()), "no number, in CAST(text AS INT)");
    }
}

#[test]
fn conditions_are_written_as_in_the_language() {
    let both: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(column("text"), Operator::NotEq, lit("x")));
    assert_eq!(shown(both.as_ref()), "(text <> 'x')");
}

#[test]
fn a_long_expression_is_cut() {
    let long: Arc<dyn PhysicalExpr> = lit("ä".repeat(500).as_str());
    let text = blamed("no", None, long.as_ref());
    assert!(text.starts_with("no, in 'ää") && text.ends_with("ä ...") && text.chars().count() < 220, "{text}");
}
