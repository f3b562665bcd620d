//! Streaming tables and the flows that feed them.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use millstream_core::decode::ReadFormat;
use millstream_core::decode::avro::{AvroSchema, AvroSchemas};
use millstream_core::encode::{avro_schema, protobuf_problem};
use millstream_core::ports::ValueFormat;
use millstream_core::{FlowId, TableKind, TableSpec};

use super::columns::{self, Output};
use super::shape::{self, Stream, StreamShape};
use super::streams;
use super::tables;
use super::targets::{self, Target};
use super::{Checker, FlowText, Reader, keys, relations};
use crate::describe;
use crate::diagnostic::{Place, Problem};
use crate::graph::{Binding, Critical, CriticalBase, Flow, OutputMode, TOPIC_METADATA, Table, Topic, Watermark, Window, WindowKind};
use crate::signature::{self, Signature};
use crate::syntax::statement::{Head, WatermarkClause, WrittenQuery};

/// A flow whose query is checked, before its table is known.
struct Draft<'t, 'a> {
    text: &'t FlowText<'a>,
    query: WrittenQuery,
    plan: LogicalPlan,
    outputs: Vec<Output>,
    /// What it reads as a stream: one table, or two that it joins.
    streams: Vec<Stream>,
    references: Vec<String>,
    /// The lowest first.
    windows: Vec<Window>,
}

impl<'a> Checker<'a> {
    pub(super) fn streaming_table(&mut self, head: &'a Head, flows: &[FlowText<'a>]) -> Result<(), Vec<Problem>> {
        let target = targets::streaming_target(self.parsed, head);
        let mut problems = Vec::new();
        let mut drafts = Vec::new();
        let mut wrong = flows.is_empty();
        for text in flows {
            match self.draft(text) {
                Ok(draft) => drafts.push(draft),
                Err(more) => {
                    wrong = true;
                    problems.extend(more);
                }
            }
        }
        if flows.is_empty() {
            let message = format!("streaming table `{}` has no query, and no flow writes into it", head.name.value);
            let help =
                format!("write AS SELECT ... FROM STREAM ..., or CREATE FLOW f AS INSERT INTO {} BY NAME SELECT ...", head.name.value);
            problems.push(Problem::new("millstream::no_flow", head.name.place, message).help(help));
        }
        let target = match target {
            Ok(target) if !wrong => target,
            target => return Err(target.err().into_iter().flatten().chain(problems).collect()),
        };
        self.finish_streaming_table(head, &target, drafts)
    }

    fn finish_streaming_table(&mut self, head: &'a Head, target: &Target, drafts: Vec<Draft<'_, 'a>>) -> Result<(), Vec<Problem>> {
        let Some(first) = drafts.first() else { return Err(Vec::new()) };
        let schema = nullable_in_any(&columns::target_schema(head, &first.outputs)?, &drafts, head);
        let mut problems = tables::key_problems(head, target, &schema);
        problems.extend(topic_column_problems(head, target, &schema));
        let spec = Arc::new(TableSpec {
            name: head.name.value.clone(),
            kind: target.kind,
            schema: Arc::clone(&schema),
            key: target.key.clone(),
            ttl: target.ttl,
        });
        let mut flows = Vec::new();
        for draft in drafts {
            match self.flow(draft, target, &spec, problems.is_empty()) {
                Ok(flow) => flows.push(flow),
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let base = match flows.as_slice() {
            [(_, flow)] if target.kind == TableKind::Critical => self.critical_base(flow, &spec),
            _ => None,
        };
        let updated = flows
            .iter()
            .any(|(_, f)| (f.window.is_some() && f.mode == OutputMode::Update) || f.sources().any(|source| self.updated.contains(source)));
        if updated {
            self.updated.insert(head.name.value.clone());
        }
        if flows.iter().any(|(_, f)| f.sources().any(|source| self.deletes(source))) {
            self.deleted.insert(head.name.value.clone());
        }
        self.flows.extend(flows);
        // What is written by the table's own schema is read by it again.
        let read = |topic: &Topic| match &topic.output {
            Some(ValueFormat::Avro) => own_avro(&schema).map(|format| Topic { format, ..topic.clone() }),
            _ => Some(topic.clone()),
        };
        let binding = match (target.kind, target.topic.as_ref().map(read)) {
            (TableKind::Critical, _) => Binding::Critical(Critical { base }),
            (TableKind::Report, _) => Binding::Report,
            (TableKind::Lake, _) => Binding::Lake,
            (_, Some(Some(topic))) => Binding::Topic(topic),
            (_, Some(None)) => return Err(lost_shape(head.name.place)),
            _ => Binding::EventStore,
        };
        self.add_table(Table { spec, binding });
        Ok(())
    }

    /// Whether what comes from `source` may delete rows of the table that it is written to.
    fn deletes(&self, source: &str) -> bool {
        let is_topic_with_tombstones = self.tables.get(source).is_some_and(|table| match &table.binding {
            Binding::Topic(topic) => topic.output.is_none() && !topic.key_columns.is_empty(),
            _ => false,
        });
        is_topic_with_tombstones || self.deleted.contains(source)
    }

    /// Checks the query of a flow by itself.
    fn draft<'t>(&self, text: &'t FlowText<'a>) -> Result<Draft<'t, 'a>, Vec<Problem>> {
        let file = text.text.file;
        let inputs = self.inputs(&text.text, Reader::Flow)?;
        let streams = inputs.streams.into_iter().map(|(table, clause, place)| {
            let watermark = clause.map(|clause| self.watermark(&table, clause)).transpose()?;
            Ok(Stream { table, watermark, place })
        });
        let streams = streams.collect::<Result<Vec<_>, Vec<Problem>>>()?;
        let Some(first) = streams.first() else {
            let problem =
                Problem::new("millstream::no_stream", text.text.query.place, format!("flow `{}` reads no stream", text.name.value));
            return Err(vec![problem.help("write FROM STREAM table; for a query over tables alone write CREATE MATERIALIZED VIEW")]);
        };
        if let Some(third) = streams.get(2) {
            let problem = Problem::new("millstream::not_supported", third.place, "more than two streams in one flow are not supported yet");
            return Err(vec![problem.help("write the join of two into a streaming table, and join its feed in a flow of its own")]);
        }
        let query = self.rewritten(&text.text)?;
        let problems = relations::output_problems(file, &text.text.query.query);
        if !problems.is_empty() {
            return Err(problems);
        }
        let plan = self.planner.plan(file, &query)?;
        let plan = self.planner.analyze(file, &query, plan)?;
        if let Some(function) = shape::volatile_function(&plan) {
            let message = format!("a view that the flow reads uses {function}(), which gives another value when the flow is replayed");
            return Err(vec![
                Problem::new("millstream::volatile_function", text.text.query.place, message).help("take it out of the view"),
            ]);
        }
        if shape::has_misplaced_window(&plan) {
            return Err(vec![shape::misplaced_window(file, &query)]);
        }
        let twice = streams.iter().find(|stream| {
            let meant = streams.iter().filter(|other| other.table == stream.table).count();
            shape::count_scans(&plan, &stream.table) > meant
        });
        if let Some(stream) = twice {
            let message = format!("`{}` is read twice in one flow", stream.table);
            let problem = Problem::new("millstream::not_supported", stream.place, message);
            return Err(vec![problem.help("read it once; use CASE or CREATE FLOW for several results")]);
        }
        let found = StreamShape { file, query: &query, streams: &streams }.check(&plan).map_err(|p| vec![p])?;
        if streams.len() > 1 && !found.joins_streams {
            let problem = Problem::new("millstream::not_supported", first.place, "two streams in one flow have to be joined");
            return Err(vec![problem.help("write a flow for each stream into the same table (CREATE FLOW)")]);
        }
        if let Some(stream) = streams.iter().find(|stream| self.updated.contains(&stream.table))
            && (!found.windows.is_empty() || found.joins || found.explodes)
        {
            let what = match (!found.windows.is_empty(), found.joins) {
                (true, _) => "aggregated",
                (_, true) => "joined",
                _ => "exploded",
            };
            let message = format!("rows of `{}` change after they were written, so its changes can't be {what}", stream.table);
            let problem = Problem::new("millstream::updated_feed", stream.place, message);
            return Err(vec![
                problem.help(format!("{what} rows must be final: read what feeds `{}`, or do it in a batch job", stream.table)),
            ]);
        }
        let outputs = columns::outputs(file, &query, &plan)?;
        let references = shape::scanned(&plan).into_iter().filter(|table| streams.iter().all(|stream| stream.table != *table)).collect();
        Ok(Draft { text, query, plan, outputs, streams, references, windows: found.windows })
    }

    fn watermark(&self, source: &str, clause: WatermarkClause) -> Result<Watermark, Vec<Problem>> {
        let Some(table) = self.tables.get(source) else { return Err(Vec::new()) };
        let column = &clause.column;
        let times: Vec<&str> =
            table.spec.schema.fields().iter().filter(|f| is_timestamp(f.data_type())).map(|f| f.name().as_str()).collect();
        let help = match times.as_slice() {
            [] => format!("`{source}` has no TIMESTAMP column; declare one"),
            _ => crate::suggest::did_you_mean(
                &column.value,
                times.iter().copied(),
                &format!("its times are {}", crate::suggest::list(times.iter().copied())),
            ),
        };
        match table.spec.schema.field_with_name(&column.value) {
            Err(_) => {
                let message = format!("`{source}` has no column `{}` for the watermark", column.value);
                Err(vec![Problem::new("millstream::unknown_column", column.place, message).help(help)])
            }
            Ok(field) if !is_timestamp(field.data_type()) => {
                let message =
                    format!("a watermark needs a TIMESTAMP, but `{}` has type {}", column.value, tables::sql_type(field.data_type()));
                Err(vec![Problem::new("millstream::bad_watermark", column.place, message).help(help)])
            }
            Ok(_) => Ok(Watermark { column: column.value.clone(), delay: clause.delay }),
        }
    }

    fn flow(
        &self,
        draft: Draft<'_, 'a>,
        target: &Target,
        spec: &Arc<TableSpec>,
        key_is_right: bool,
    ) -> Result<(usize, Flow), Vec<Problem>> {
        let file = draft.text.text.file;
        let joined = <[Stream; 2]>::try_from(draft.streams.clone()).ok();
        let mut problems: Vec<Problem> = self.append_problem(&draft, target, spec).into_iter().collect();
        let fitted = columns::fit(file, &draft.query, draft.plan, &draft.outputs, &spec.schema)?;
        if key_is_right && let Some(window) = draft.windows.last() {
            problems.extend(keys::window_key(&fitted, window, target, spec));
        }
        if joined.is_some() && target.mode == OutputMode::Update {
            let message = "output_mode 'update' is not for joins of streams: Spark refuses it too";
            let help = "take 'output_mode' out: a joined row is written once, and so is a window over a join";
            problems.push(Problem::new("millstream::bad_option", target.mode_place, message).help(help));
        } else if draft.windows.is_empty() && target.mode == OutputMode::Update {
            let message = "output_mode 'update' is for aggregates: without one, each event makes its row once";
            problems.push(Problem::new("millstream::bad_option", target.mode_place, message).help("take 'output_mode' out"));
        }
        if joined.is_some() {
            // Said already.
        } else if target.mode == OutputMode::Update && draft.windows.len() > 1 {
            let message = "output_mode 'update' is for one aggregate: windows over the results of windows need results that are final";
            let help = "take 'output_mode' out: a window is then written once, when it is closed";
            problems.push(Problem::new("millstream::bad_option", target.mode_place, message).help(help));
        } else if target.mode == OutputMode::Update && draft.windows.iter().any(|w| matches!(w.kind, WindowKind::Session { .. })) {
            let message = "output_mode 'update' is not for session windows, which grow and merge: Spark refuses it too";
            let help = "take 'output_mode' out: a session is then written once, when it is closed";
            problems.push(Problem::new("millstream::bad_option", target.mode_place, message).help(help));
        }
        let feed = match draft.streams.as_slice() {
            [one] => self.tables.get(&one.table).filter(|t| t.binding.is_event_store()),
            _ => None,
        };
        if key_is_right
            && target.kind == TableKind::Critical
            && draft.windows.is_empty()
            && let Some(base) = feed
        {
            problems.extend(keys::base_key(&fitted, &base.spec, spec, target.key_place).err());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let plan = self.planner.optimize(file, &draft.query, fitted.clone(), &|plan| !shape::has_misplaced_window(plan))?;
        // Optimising may have moved the windows within their groups.
        let kinds: Vec<WindowKind> = draft.windows.iter().map(|w| w.kind).collect();
        let mut inner_windows = shape::windows_of(&plan, &kinds).ok_or_else(|| lost_shape(draft.query.place))?;
        let window = inner_windows.pop();
        same_columns(&plan, &spec.schema).ok_or_else(|| lost_shape(draft.query.place))?;
        let (join, streams) = match &joined {
            None => (None, draft.streams),
            Some(streams) => {
                let place = second_stream_place(file, &draft.query, streams);
                let (join, streams) = streams::join(&plan, streams, place).map_err(|p| vec![p])?;
                if let Some(problem) = streams::missing_key(&plan, &streams, target, spec) {
                    return Err(vec![problem]);
                }
                (Some(join), streams)
            }
        };
        let Some(Stream { table: source, watermark, .. }) = streams.into_iter().next() else { return Err(Vec::new()) };
        let mut flow = Flow {
            id: FlowId::new(&draft.text.name.value),
            target: spec.name.clone(),
            source,
            plan,
            references: draft.references,
            watermark,
            join,
            window,
            inner_windows,
            mode: target.mode,
            signature: Signature::default(),
            fingerprint: String::new(),
        };
        flow.fingerprint = describe::fingerprint(&flow, spec, &|name| self.tables.get(name).map(|t| Arc::clone(&t.spec)));
        flow.signature = signature::signature(&flow, &fitted, spec, &|name| self.tables.get(name));
        Ok((draft.text.order, flow))
    }

    /// Why a table without a key can't hold what the flow gives: rows that replace or delete others.
    fn append_problem(&self, draft: &Draft<'_, 'a>, target: &Target, spec: &TableSpec) -> Option<Problem> {
        if !target.only_appends() {
            return None;
        }
        let (sink, remedy) = match target.kind {
            TableKind::Topic => (
                format!("the topic `{}` has no key that says which record replaces which", spec.name),
                "write TBLPROPERTIES ('key' = 'column, ...')".to_owned(),
            ),
            _ => (
                format!("the files of `{}` only take new rows", spec.name),
                "write USING cassandra or postgresql, whose rows have a key".to_owned(),
            ),
        };
        if !draft.windows.is_empty() && target.mode == OutputMode::Update {
            let message = format!("output_mode 'update' writes a window's row again and again, but {sink}");
            let help = format!("{remedy}; or take 'output_mode' out: a window is then written once, when it is closed");
            return Some(Problem::new("millstream::append_only", target.mode_place, message).help(help));
        }
        if let Some(stream) = draft.streams.iter().find(|stream| self.updated.contains(&stream.table)) {
            let message = format!("rows of `{}` can change or be deleted after they were written, but {sink}", stream.table);
            let help = format!("{remedy}; or read what feeds `{}`, where rows are final", stream.table);
            return Some(Problem::new("millstream::append_only", stream.place, message).help(help));
        }
        None
    }

    /// Where a missing row of a redis table can be made again.
    fn critical_base(&self, flow: &Flow, spec: &TableSpec) -> Option<CriticalBase> {
        let base = self.tables.get(&flow.source).filter(|t| t.binding.is_event_store() && flow.window.is_none() && flow.join.is_none())?;
        let key = keys::base_positions(&flow.plan, &base.spec, spec)?;
        Some(CriticalBase { flow: flow.id.clone(), table: flow.source.clone(), key })
    }
}

/// How values of the Avro schema that the columns have are read.
fn own_avro(columns: &SchemaRef) -> Option<ReadFormat> {
    let schema = AvroSchema::try_new(&avro_schema(columns).to_string()).ok()?;
    Some(ReadFormat::Avro(AvroSchemas::One(Box::new(schema))))
}

/// Columns that a topic can't have: its metadata's, and names that Avro doesn't know (Avro specification, Names).
fn topic_column_problems(head: &Head, target: &Target, schema: &SchemaRef) -> Vec<Problem> {
    let Some(topic) = &target.topic else { return Vec::new() };
    let avro_name = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.bytes().next().is_none_or(|b| b.is_ascii_digit())
    };
    let mut problems = Vec::new();
    for name in schema.fields().iter().map(|f| f.name().as_str()) {
        if TOPIC_METADATA.contains(&name) {
            let message = format!("every topic has a column `{name}` already");
            problems.push(Problem::new("millstream::duplicate_column", head.name.place, message).help("give it another name with AS"));
        } else if matches!(topic.output, Some(ValueFormat::Avro)) && !avro_name(name) {
            let message = format!("Avro has no fields called `{name}`");
            let help = "give it a name of letters, digits and underscores with AS";
            problems.push(Problem::new("millstream::bad_column_name", head.name.place, message).help(help));
        }
    }
    if let Some(ValueFormat::Protobuf(of)) = &topic.output
        && let Some(why) = protobuf_problem(of, schema)
    {
        let message = format!("a row of `{}` can't be the message {}: {why}", head.name.value, of.name());
        let help = "columns are fields by name: docs/formats.md says which type is which";
        problems.push(Problem::new("millstream::unsupported_type", head.name.place, message).help(help));
    }
    problems
}

/// Where the query joins its streams: the word JOIN, or the second stream.
fn second_stream_place(file: usize, query: &WrittenQuery, streams: &[Stream; 2]) -> Place {
    let join = query.tokens.iter().find(|t| crate::syntax::cursor::is_word(&t.token, "JOIN"));
    join.map_or(streams[1].place, |t| Place::new(file, t.span))
}

fn is_timestamp(data_type: &arrow::datatypes::DataType) -> bool {
    *data_type == millstream_core::table::timestamp_type()
}

/// A column without a declaration may be null if any flow may make it null.
fn nullable_in_any(schema: &SchemaRef, drafts: &[Draft], head: &Head) -> SchemaRef {
    if head.columns.is_some() {
        return Arc::clone(schema);
    }
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| {
            let nullable = drafts.iter().flat_map(|d| &d.outputs).any(|o| o.name == *field.name() && o.nullable);
            field.as_ref().clone().with_nullable(nullable)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn same_columns(plan: &LogicalPlan, schema: &SchemaRef) -> Option<()> {
    let fields = plan.schema();
    let equal = fields.fields().len() == schema.fields().len()
        && fields.iter().zip(schema.fields()).all(|((qualifier, field), expected)| {
            qualifier.is_none() && field.name() == expected.name() && field.data_type() == expected.data_type()
        });
    equal.then_some(())
}

fn lost_shape(place: Place) -> Vec<Problem> {
    vec![
        Problem::new("millstream::internal", place, "optimising the query changed its columns; this is a defect of Millstream")
            .help("please report it with the query"),
    ]
}
