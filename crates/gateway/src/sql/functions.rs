//! PostgreSQL's functions about the server and its catalog that clients call and that neither DataFusion nor datafusion-postgres has.
//!
//! Most say that there is none of what they are asked about: Millstream's tables have no indexes, triggers, comments or sizes to show.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;

use super::variables::{POSTGRES_VERSION, Variables};

/// Registers what is the same for all connections.
pub(crate) fn register(session: &SessionContext) {
    let text = |value: &str| ScalarValue::Utf8(Some(value.to_owned()));
    let no_text = || ScalarValue::Utf8(None);
    let constants: [(&'static str, ScalarValue); 34] = [
        ("version", text(&format!("PostgreSQL {POSTGRES_VERSION} (Millstream)"))),
        ("pg_is_in_recovery", ScalarValue::Boolean(Some(false))),
        ("pg_is_wal_replay_paused", ScalarValue::Boolean(Some(false))),
        ("pg_my_temp_schema", ScalarValue::Int32(Some(0))),
        ("pg_is_other_temp_schema", ScalarValue::Boolean(Some(false))),
        ("pg_function_is_visible", ScalarValue::Boolean(Some(true))),
        ("pg_type_is_visible", ScalarValue::Boolean(Some(true))),
        ("pg_operator_is_visible", ScalarValue::Boolean(Some(true))),
        ("pg_opclass_is_visible", ScalarValue::Boolean(Some(true))),
        ("pg_collation_is_visible", ScalarValue::Boolean(Some(true))),
        ("has_function_privilege", ScalarValue::Boolean(Some(true))),
        ("has_column_privilege", ScalarValue::Boolean(Some(true))),
        ("has_sequence_privilege", ScalarValue::Boolean(Some(false))),
        ("has_tablespace_privilege", ScalarValue::Boolean(Some(true))),
        ("has_type_privilege", ScalarValue::Boolean(Some(true))),
        ("pg_has_role", ScalarValue::Boolean(Some(true))),
        ("obj_description", no_text()),
        ("col_description", no_text()),
        ("shobj_description", no_text()),
        ("pg_get_viewdef", no_text()),
        ("pg_get_indexdef", no_text()),
        ("pg_get_triggerdef", no_text()),
        ("pg_get_ruledef", no_text()),
        ("pg_get_functiondef", no_text()),
        ("pg_get_function_result", no_text()),
        ("pg_get_function_arguments", no_text()),
        ("pg_get_function_identity_arguments", no_text()),
        ("pg_get_serial_sequence", no_text()),
        ("pg_tablespace_location", text("")),
        ("pg_table_size", ScalarValue::Int64(Some(0))),
        ("pg_indexes_size", ScalarValue::Int64(Some(0))),
        ("pg_database_size", ScalarValue::Int64(Some(0))),
        ("pg_size_pretty", no_text()),
        ("txid_current", ScalarValue::Int64(Some(1))),
    ];
    for (name, value) in constants {
        session.register_udf(ScalarUDF::new_from_impl(Constant::new(name, value)));
    }
}

/// Registers what reads the connection's settings.
pub(crate) fn register_settings(session: &SessionContext, variables: &Arc<Variables>) {
    session.register_udf(ScalarUDF::new_from_impl(CurrentSetting::new(variables.clone())));
}

/// A function that gives the same whatever it is asked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl Constant {
    fn new(name: &'static str, value: ScalarValue) -> Self {
        let signature = Signature::one_of(
            vec![datafusion::logical_expr::TypeSignature::Nullary, datafusion::logical_expr::TypeSignature::VariadicAny],
            Volatility::Stable,
        );
        Self { name, value, signature }
    }
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// `current_setting(name [, missing_ok])`.
#[derive(Debug)]
struct CurrentSetting {
    variables: Arc<Variables>,
    signature: Signature,
}

impl CurrentSetting {
    fn new(variables: Arc<Variables>) -> Self {
        Self { variables, signature: Signature::variadic_any(Volatility::Stable) }
    }
}

// Each connection registers its own, so the name tells them apart from other functions and the settings from each other.
impl PartialEq for CurrentSetting {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.variables, &other.variables)
    }
}

impl Eq for CurrentSetting {}

impl std::hash::Hash for CurrentSetting {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.variables).hash(state);
    }
}

impl ScalarUDFImpl for CurrentSetting {
    fn name(&self) -> &'static str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(names) = arrays.first() else { return exec_err!("current_setting takes a name") };
        let names: ArrayRef = cast(names, &DataType::Utf8)?;
        let missing_ok = arrays.get(1).is_some_and(|a| a.as_boolean_opt().is_some_and(|b| !b.is_empty() && b.value(0)));
        let mut values = Vec::with_capacity(names.len());
        for name in names.as_string::<i32>() {
            match name.map(|name| (name, self.variables.get(name))) {
                Some((name, None)) if !missing_ok => return exec_err!("unrecognized configuration parameter \"{name}\""),
                found => values.push(found.and_then(|(_, value)| value)),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(values))))
    }
}
