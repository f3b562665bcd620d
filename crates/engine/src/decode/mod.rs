//! JSON records straight into Arrow.
