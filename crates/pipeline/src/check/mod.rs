//! Checking: every name means something, every option is known, every flow can run for ever with bounded state.
//!
//! Statements are checked in the order of what they read, whatever their order in the text. A statement that reads
//! one that is wrong is passed over, so that one mistake is one error.

mod bodies;
mod columns;
mod flows;
pub(crate) mod formats;
pub(crate) mod inserted;
mod keys;
mod lineage;
mod order;
pub(crate) mod references;
mod relations;
mod settings;
pub(crate) mod shape;
mod streams;
pub(crate) mod tables;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use millstream_core::TableSpec;
use millstream_core::table::timestamp_type;

use crate::diagnostic::{Place, Problem};
use crate::graph::{Binding, Flow, Job, Pipeline, TOPIC_METADATA, Table};
use crate::parsed::Parsed;
use crate::plan::Planner;
use crate::suggest;
use crate::syntax::rewrite;
use crate::syntax::statement::{Head, Name, Statement, WatermarkClause, WrittenQuery};

use relations::{Named, Use};

/// A query with where it stands and what it names.
pub(super) struct QueryText<'a> {
    file: usize,
    query: &'a WrittenQuery,
    named: Named,
}

/// A flow as it is written.
pub(super) struct FlowText<'a> {
    /// Its place in the order of the text.
    order: usize,
    name: &'a Name,
    text: QueryText<'a>,
}

/// Something with a name that queries can read.
enum Node<'a> {
    Table { file: usize, head: &'a Head },
    Streaming { head: &'a Head, flows: Vec<FlowText<'a>> },
    Report { file: usize, head: &'a Head, text: QueryText<'a> },
    View { text: QueryText<'a> },
}

impl<'a> Node<'a> {
    fn queries(&self) -> Vec<&QueryText<'a>> {
        match self {
            Self::Table { .. } => Vec::new(),
            Self::Streaming { flows, .. } => flows.iter().map(|f| &f.text).collect(),
            Self::Report { text, .. } | Self::View { text } => vec![text],
        }
    }
}

/// A view that has been checked: what it reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs {
    /// Tables that are read as a stream.
    streams: Vec<(String, Option<WatermarkClause>, Place)>,
    /// Tables that are read as they are.
    tables: Vec<(String, Place)>,
}

/// How a query may read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Flow,
    Job,
    View,
}

pub(super) struct Checker<'a> {
    parsed: &'a Parsed,
    planner: Planner,
    tables: BTreeMap<String, Table>,
    views: BTreeMap<String, Inputs>,
    /// All names of the text, right or wrong.
    names: BTreeSet<String>,
    flows: Vec<(usize, Flow)>,
    jobs: Vec<Job>,
    /// Tables whose rows change after they were written.
    updated: BTreeSet<String>,
    /// Tables whose rows tombstones delete.
    deleted: BTreeSet<String>,
    warnings: Vec<String>,
    problems: Vec<Problem>,
}

/// Checks a parsed pipeline.
pub(crate) fn check(parsed: &Parsed, reference_schemas: &BTreeMap<String, Result<SchemaRef, String>>) -> Result<Pipeline, Vec<Problem>> {
    let problems = bodies::problems(&parsed.functions);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut checker = Checker {
        parsed,
        planner: Planner::new(),
        tables: BTreeMap::new(),
        views: BTreeMap::new(),
        names: BTreeSet::new(),
        flows: Vec::new(),
        jobs: Vec::new(),
        updated: BTreeSet::new(),
        deleted: BTreeSet::new(),
        warnings: Vec::new(),
        problems: Vec::new(),
    };
    let nodes = checker.nodes();
    for name in checker.order(&nodes) {
        if let Some(node) = nodes.get(&name) {
            checker.node(&name, node, reference_schemas);
        }
    }
    checker.check_rebindings(&nodes);
    checker.warn_of_idle_tables(&nodes);
    checker.warn_of_views_without_schedule();
    if !checker.problems.is_empty() {
        return Err(checker.problems);
    }
    checker.flows.sort_by_key(|(order, _)| *order);
    Ok(Pipeline {
        tables: checker.tables,
        flows: checker.flows.into_iter().map(|(_, flow)| flow).collect(),
        jobs: checker.jobs,
        warnings: checker.warnings,
    })
}

impl<'a> Checker<'a> {
    /// The nodes of the text by name; names that are used twice are problems.
    fn nodes(&mut self) -> BTreeMap<String, Node<'a>> {
        let mut nodes: BTreeMap<String, Node<'a>> = BTreeMap::new();
        let mut flow_names: BTreeSet<&str> = BTreeSet::new();
        for (order, (file, statement)) in self.parsed.statements.iter().enumerate() {
            let file = *file;
            let text = |query: &'a WrittenQuery| QueryText { file, query, named: relations::named(file, query) };
            let (name, node) = match statement {
                // Functions are written out where they are called.
                Statement::Flow { .. } | Statement::Function(_) => continue,
                Statement::Table(head) => (&head.name, Node::Table { file, head }),
                Statement::StreamingTable(head, query) => {
                    let own = query.as_ref().map(|query| FlowText { order, name: &head.name, text: text(query) });
                    if own.is_some() {
                        flow_names.insert(&head.name.value);
                    }
                    (&head.name, Node::Streaming { head, flows: own.into_iter().collect() })
                }
                Statement::MaterializedView(head, query) => (&head.name, Node::Report { file, head, text: text(query) }),
                Statement::View(name, query) => (name, Node::View { text: text(query) }),
            };
            if !self.names.insert(name.value.clone()) {
                let message = format!("`{}` is created twice", name.value);
                self.problems.push(Problem::new("millstream::duplicate_table", name.place, message).help("give one of them another name"));
                continue;
            }
            nodes.insert(name.value.clone(), node);
        }
        for (order, (file, statement)) in self.parsed.statements.iter().enumerate() {
            let Statement::Flow { name, target, query } = statement else { continue };
            if !flow_names.insert(&name.value) {
                let message = format!("there are two flows `{}`", name.value);
                self.problems.push(Problem::new("millstream::duplicate_flow", name.place, message).help("give one of them another name"));
                continue;
            }
            match nodes.get_mut(&target.value) {
                Some(Node::Streaming { flows, .. }) => {
                    let text = QueryText { file: *file, query, named: relations::named(*file, query) };
                    flows.push(FlowText { order, name, text });
                }
                Some(_) => {
                    let message = format!("a flow writes into a streaming table, but `{}` is none", target.value);
                    self.problems.push(
                        Problem::new("millstream::bad_target", target.place, message)
                            .help(format!("write CREATE STREAMING TABLE {} USING cassandra ...", target.value)),
                    );
                }
                None => {
                    let problem = self.unknown_table(&target.value, target.place);
                    self.problems.push(problem);
                }
            }
        }
        nodes
    }

    fn unknown_table(&self, name: &str, place: Place) -> Problem {
        let known = self.names.iter().map(String::as_str);
        let listed = format!("the tables are {}", suggest::list(known.clone()));
        Problem::new("millstream::unknown_table", place, format!("there is no table `{name}`"))
            .help(suggest::did_you_mean(name, known, &listed))
    }

    fn node(&mut self, name: &str, node: &Node<'a>, reference_schemas: &BTreeMap<String, Result<SchemaRef, String>>) {
        let outcome = match node {
            Node::Table { file, head } => {
                let table = tables::table(self.parsed, *file, head, reference_schemas.get(name));
                table.map(|table| self.add_table(table))
            }
            Node::Streaming { head, flows } => self.streaming_table(head, flows),
            Node::Report { file, head, text } => self.report(*file, head, text),
            Node::View { text } => self.view(name, text),
        };
        if let Err(problems) = outcome {
            self.problems.extend(problems);
        }
    }

    fn add_table(&mut self, table: Table) {
        self.planner.add_table(&table.spec.name, readable_schema(&table));
        let changes = match &table.binding {
            // Of a topic that flows write, those flows decide.
            Binding::Topic(topic) => topic.output.is_none() && !topic.key_columns.is_empty(),
            Binding::ExistingTable => true,
            Binding::EventStore => self.parsed.surroundings.abilities.latest_version_feeds,
            _ => false,
        };
        if changes {
            self.updated.insert(table.spec.name.clone());
        }
        self.tables.insert(table.spec.name.clone(), table);
    }

    fn view(&mut self, name: &str, text: &QueryText<'a>) -> Result<(), Vec<Problem>> {
        let inputs = self.inputs(text, Reader::View)?;
        let query = self.rewritten(text)?;
        let plan = self.planner.plan(text.file, &query)?;
        // A view's own mistakes are its own, not those of whoever reads it.
        self.planner.analyze(text.file, &query, plan.clone())?;
        self.planner.add_view(name, plan);
        self.views.insert(name.to_owned(), inputs);
        Ok(())
    }

    fn report(&mut self, file: usize, head: &'a Head, text: &QueryText<'a>) -> Result<(), Vec<Problem>> {
        let target = targets::report_target(head);
        let plan = self.job_plan(text);
        let (target, (query, plan)) = match (target, plan) {
            (Ok(target), Ok(plan)) => (target, plan),
            (target, plan) => return Err(target.err().into_iter().chain(plan.err()).flatten().collect()),
        };
        let outputs = columns::outputs(file, &query, &plan)?;
        let schema = columns::target_schema(head, &outputs)?;
        let problems = tables::key_problems(head, &target, &schema);
        if !problems.is_empty() {
            return Err(problems);
        }
        let plan = columns::fit(file, &query, plan, &outputs, &schema)?;
        let inputs = shape::scanned(&plan);
        self.jobs.push(Job { report: head.name.value.clone(), plan, inputs, schedule: target.schedule });
        let spec = TableSpec { name: head.name.value.clone(), kind: target.kind, schema, key: target.key, ttl: None };
        self.add_table(Table { spec: Arc::new(spec), binding: Binding::Report });
        Ok(())
    }

    fn job_plan(&self, text: &QueryText<'a>) -> Result<(WrittenQuery, LogicalPlan), Vec<Problem>> {
        self.inputs(text, Reader::Job)?;
        let problems = relations::output_problems(text.file, &text.query.query);
        if !problems.is_empty() {
            return Err(problems);
        }
        let query = self.rewritten(text)?;
        let plan = self.planner.plan(text.file, &query)?;
        let plan = self.planner.analyze(text.file, &query, plan)?;
        if shape::has_misplaced_window(&plan) {
            return Err(vec![shape::misplaced_window(text.file, &query)]);
        }
        if let Some(problem) = shape::misused_aggregate(text.file, &query, &plan) {
            return Err(vec![problem]);
        }
        let plan = self.planner.expand_windows(text.file, &query, plan)?;
        Ok((query, plan))
    }

    /// The query with `window(...)` and `*` as DataFusion plans them.
    fn rewritten(&self, text: &QueryText<'a>) -> Result<WrittenQuery, Vec<Problem>> {
        let mut query = text.query.clone();
        let topic = |name: &str| {
            !text.named.subqueries.iter().any(|s| s == name)
                && self.tables.get(name).is_some_and(|t| matches!(t.binding, Binding::Topic(_)))
        };
        let problems = rewrite::rewrite(text.file, &mut query.query, &topic);
        if problems.is_empty() { Ok(query) } else { Err(problems) }
    }

    /// What a query reads, if `reader` may read it. Nothing at all, and no error, for a query that reads a table that is wrong itself.
    pub(super) fn inputs(&self, text: &QueryText<'a>, reader: Reader) -> Result<Inputs, Vec<Problem>> {
        let mut problems = text.named.problems.clone();
        problems.extend(self.function_problems(text, reader));
        let mut inputs = Inputs::default();
        let mut passed_over = false;
        for relation in &text.named.relations {
            if let Some(view) = self.views.get(&relation.name) {
                match self.view_inputs(relation, view, reader) {
                    Ok(more) => {
                        inputs.streams.extend(more.streams);
                        inputs.tables.extend(more.tables);
                    }
                    Err(problem) => problems.push(problem),
                }
            } else if let Some(table) = self.tables.get(&relation.name) {
                match self.table_input(relation, table, reader) {
                    Ok(()) => match &relation.stream {
                        Some(mark) => inputs.streams.push((relation.name.clone(), mark.watermark.clone(), relation.place)),
                        None => inputs.tables.push((relation.name.clone(), relation.place)),
                    },
                    Err(problem) => problems.push(problem),
                }
            } else if self.names.contains(&relation.name) {
                passed_over = true;
            } else {
                problems.push(self.unknown_table(&relation.name, relation.place));
            }
        }
        if problems.is_empty() && !passed_over { Ok(inputs) } else { Err(problems) }
    }

    fn view_inputs(&self, relation: &Use, view: &Inputs, reader: Reader) -> Result<Inputs, Problem> {
        let name = &relation.name;
        let streaming = !view.streams.is_empty();
        let mut inputs = view.clone();
        for place in inputs.streams.iter_mut().map(|s| &mut s.2).chain(inputs.tables.iter_mut().map(|t| &mut t.1)) {
            *place = relation.place;
        }
        match (&relation.stream, streaming, reader) {
            (Some(_), false, _) => Err(Problem::new("millstream::not_a_stream", relation.place, format!("view `{name}` reads no stream"))
                .help(format!("write FROM {name} without STREAM"))),
            (_, true, Reader::Job) => Err(Problem::new(
                "millstream::stream_in_job",
                relation.place,
                format!("view `{name}` reads a stream, but a batch job reads tables"),
            )
            .help("read the event-store table that a flow writes")),
            (None, true, Reader::Flow) => {
                Err(Problem::new("millstream::stream_needed", relation.place, format!("view `{name}` reads a stream"))
                    .help(format!("write FROM STREAM {name}")))
            }
            (Some(mark), true, _) => {
                if let Some(watermark) = &mark.watermark {
                    match inputs.streams.as_mut_slice() {
                        [(_, own @ None, _)] => *own = Some(watermark.clone()),
                        _ => {
                            return Err(Problem::new(
                                "millstream::misplaced_watermark",
                                watermark.place,
                                format!("view `{name}` has a watermark already"),
                            )
                            .help("keep one of them"));
                        }
                    }
                }
                Ok(inputs)
            }
            (None, _, Reader::Flow) => {
                for (table, place) in &inputs.tables {
                    if !self.is_joined_whole(table) {
                        return Err(self.not_joined_whole(table, *place));
                    }
                }
                Ok(inputs)
            }
            (None, _, _) => Ok(inputs),
        }
    }

    fn table_input(&self, relation: &Use, table: &Table, reader: Reader) -> Result<(), Problem> {
        let Use { name, place, stream } = relation;
        let streamable = matches!(table.binding, Binding::Topic(_)) || table.binding.is_event_store();
        let kind = table.spec.kind.as_str();
        match (stream, reader) {
            (Some(_), Reader::Job) => Err(Problem::new(
                "millstream::stream_in_job",
                *place,
                format!("a batch job reads tables, but `{name}` is read as a stream"),
            )
            .help(self.instead_of_stream(name, table))),
            (Some(_), _) if !streamable => {
                let message = format!("`{name}` ({kind}) can't be read as a stream; topics and event-store tables can");
                let help = if self.is_joined_whole(name) {
                    format!("write JOIN {name} without STREAM")
                } else {
                    "read the table that feeds it".to_owned()
                };
                Err(Problem::new("millstream::not_a_stream", *place, message).help(help))
            }
            (Some(_), _) => self.streamed(name, *place, table),
            (None, Reader::Flow) if matches!(table.binding, Binding::Topic(_)) => {
                Err(Problem::new("millstream::stream_needed", *place, format!("a flow reads the topic `{name}` as a stream"))
                    .help(format!("write FROM STREAM {name}")))
            }
            (None, Reader::Flow) if !self.is_joined_whole(name) => Err(self.not_joined_whole(name, *place)),
            (None, Reader::Job) if matches!(table.binding, Binding::Topic(_)) => {
                Err(Problem::new("millstream::topic_in_job", *place, format!("a batch job can't read the topic `{name}`"))
                    .help(self.instead_of_stream(name, table)))
            }
            (None, _) => Ok(()),
        }
    }

    /// Whether a table of a kind that can be read as a stream can be.
    fn streamed(&self, name: &str, place: Place, table: &Table) -> Result<(), Problem> {
        match &table.binding {
            Binding::ExistingTable if !self.parsed.surroundings.abilities.existing_table_feeds => {
                let message =
                    format!("`{name}` has no change feed: other services write it, and only Cosmos DB keeps a feed of what they write");
                let help = format!(
                    "write [cassandra] preset = \"cosmos-db\" in millstream.toml if it is one; or read it in a batch job, FROM {name} without STREAM"
                );
                Err(Problem::new("millstream::not_able", place, message).help(help))
            }
            Binding::EventStore if self.deleted.contains(name) && self.parsed.surroundings.abilities.latest_version_feeds => {
                let message = format!("rows of `{name}` are deleted by tombstones, and the change feed of Cosmos DB shows no deletes");
                let help = format!("read the topic that feeds `{name}`; or read it in a batch job, FROM {name} without STREAM");
                Err(Problem::new("millstream::not_able", place, message).help(help))
            }
            _ => Ok(()),
        }
    }

    /// Whether a flow can join it as it is: reference data, and reports that jobs publish. A relational table that flows write is never whole.
    fn is_joined_whole(&self, name: &str) -> bool {
        self.tables.get(name).is_some_and(|t| match t.binding {
            Binding::Reference(_) => true,
            Binding::Report => self.jobs.iter().any(|job| job.report == name),
            _ => false,
        })
    }

    fn not_joined_whole(&self, name: &str, place: Place) -> Problem {
        let kind = self.tables.get(name).map_or("table", |t| t.spec.kind.as_str());
        let problem = Problem::new("millstream::stream_needed", place, format!("a flow can't read `{name}` ({kind}) as a table"));
        match self.tables.get(name).map(|t| &t.binding) {
            Some(binding) if binding.is_event_store() => problem.help(format!(
                "write FROM STREAM {name} to read its change feed; or make a materialized view of it, which a flow can join"
            )),
            _ => problem.help("a flow reads a stream and joins reference data and materialized views; other joins are for a batch job"),
        }
    }

    /// What a batch job reads in place of a stream.
    fn instead_of_stream(&self, name: &str, table: &Table) -> String {
        if table.binding.is_event_store() {
            return format!("write FROM {name}");
        }
        let fed = self.flows.iter().find(|(_, f)| {
            f.reads(name) && f.join.is_none() && self.tables.get(&f.target).is_some_and(|t| matches!(t.binding, Binding::EventStore))
        });
        match fed {
            Some((_, flow)) => format!("write FROM {}, the event-store table that a flow writes from it", flow.target),
            None => format!(
                "write its events into an event-store table first: CREATE STREAMING TABLE ... USING cassandra ... FROM STREAM {name}"
            ),
        }
    }

    fn function_problems(&self, text: &QueryText<'a>, reader: Reader) -> Vec<Problem> {
        let streaming = reader == Reader::Flow || text.named.relations.iter().any(|r| r.stream.is_some());
        let names = self.planner.function_names();
        let mut problems = Vec::new();
        for (name, place) in &text.named.functions {
            if streaming && crate::spark::functions::VOLATILE.contains(&name.as_str()) {
                let message = format!("{name}() gives another value when a flow is replayed, so that its result would not be the same");
                let help = match name.as_str() {
                    "now" | "current_timestamp" | "current_date" | "unix_timestamp" | "localtimestamp" => {
                        "use the event's own time; or `_timestamp`, when the topic received it"
                    }
                    _ => "let the producer put the value into the event, or use `_partition` and `_offset` to tell events apart",
                };
                problems.push(Problem::new("millstream::volatile_function", *place, message).help(help));
            } else if !names.contains(name) {
                let problem = Problem::new("millstream::unknown_function", *place, format!("there is no function {name}()"));
                let otherwise = "the functions are those of Spark, of which some are not supported yet";
                problems.push(problem.help(suggest::did_you_mean(name, names.iter().map(String::as_str), otherwise)));
            }
        }
        problems
    }

    /// A configuration binds tables that are there, and that can be elsewhere: reference data, and streaming tables of files.
    fn check_rebindings(&mut self, nodes: &BTreeMap<String, Node<'a>>) {
        for (name, to) in &self.parsed.surroundings.rebindings {
            let key = format!("tables.{name}");
            match nodes.get(name) {
                Some(Node::Table { head, .. }) if head.using.as_ref().is_some_and(|u| references::FORMATS.contains(&u.value.as_str())) => {}
                Some(Node::Streaming { head, .. }) if targets::is_of_files(head) => self.problems.extend(references::moved(to, name)),
                Some(_) => {
                    let message =
                        format!("`{name}` is not reference data, nor a streaming table of files: only those can be bound elsewhere");
                    let help = "take the section out: who serves other tables, say [kafka], [cassandra], [postgresql], [redis] and [lake]";
                    self.problems.push(Problem::in_setting("millstream::bad_option", key, message).help(help));
                }
                None => {
                    let known = self.names.iter().map(String::as_str);
                    let listed = format!("the tables are {}", suggest::list(known.clone()));
                    let problem = Problem::in_setting("millstream::unknown_table", key, "the pipeline has no such table");
                    self.problems.push(problem.help(suggest::did_you_mean(name, known, &listed)));
                }
            }
        }
    }

    /// A topic that nobody reads is allowed, but is probably a slip.
    fn warn_of_idle_tables(&mut self, nodes: &BTreeMap<String, Node<'a>>) {
        let read: BTreeSet<&str> =
            nodes.values().flat_map(Node::queries).flat_map(|q| &q.named.relations).map(|r| r.name.as_str()).collect();
        for (name, table) in &self.tables {
            let published = matches!(&table.binding, Binding::Topic(topic) if topic.output.is_none());
            if published && !read.contains(name.as_str()) {
                self.warnings.push(format!("topic `{name}` is read by no flow"));
            }
        }
    }

    /// A flow that joins a report waits for the first one: without a schedule, somebody has to ask for it.
    fn warn_of_views_without_schedule(&mut self) {
        for job in self.jobs.iter().filter(|job| job.schedule.is_none()) {
            for (_, flow) in self.flows.iter().filter(|(_, flow)| flow.references.contains(&job.report)) {
                let report = &job.report;
                self.warnings.push(format!(
                    "flow `{}` joins `{report}`, which has no schedule: it waits until `millstream refresh {report}` has published it once",
                    flow.id
                ));
            }
        }
    }
}

/// The columns that queries can read: a topic has its metadata too.
fn readable_schema(table: &Table) -> SchemaRef {
    if !matches!(table.binding, Binding::Topic(_)) {
        return Arc::clone(&table.spec.schema);
    }
    let mut fields: Vec<Field> = table.spec.schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.extend(metadata_fields());
    Arc::new(Schema::new(fields))
}

fn metadata_fields() -> Vec<Field> {
    let header = Fields::from(vec![Field::new("key", DataType::Utf8, true), Field::new("value", DataType::Binary, true)]);
    let headers = DataType::List(Arc::new(Field::new("item", DataType::Struct(header), true)));
    let types = [DataType::Binary, headers, DataType::Utf8, DataType::Int32, DataType::Int64, timestamp_type()];
    // A record always has a topic, a partition, an offset and a timestamp; it may have no key and no headers.
    let nullable = [true, true, false, false, false, false];
    TOPIC_METADATA.iter().zip(types).zip(nullable).map(|((name, data_type), nullable)| Field::new(*name, data_type, nullable)).collect()
}
