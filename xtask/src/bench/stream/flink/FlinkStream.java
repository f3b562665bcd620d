import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Metric;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * What Apache Flink SQL makes of one of the benchmark's jobs, in a cluster inside this process with a slot for each core. Called by {@code cargo xtask
 * bench stream}: the file of its statements, how many rows its tables have together, how many tables it reads, and the seconds that it may take.
 *
 * <p>Prints one line of JSON: the rows after the first fifth of them, which warms it up; the seconds that they took, and those that the process had of all
 * cores; and whether everything was read before the time was over.
 */
public final class FlinkStream {
    private static final int POLL_MS = 50;

    private FlinkStream() {}

    public static void main(String[] arguments) {
        int status = 0;
        try {
            run(arguments);
        } catch (Throwable failure) {
            failure.printStackTrace();
            status = 1;
        }
        System.out.flush();
        // Threads of the cluster may go on: a job that has failed would be taken for one that was not done in time.
        Runtime.getRuntime().halt(status);
    }

    private static void run(String[] arguments) throws Exception {
        String[] statements = Files.readString(Path.of(arguments[0])).split(";\n");
        long rows = Long.parseLong(arguments[1]);
        int tables = Integer.parseInt(arguments[2]);
        long limit = Duration.ofSeconds(Long.parseLong(arguments[3])).toNanos();
        TableEnvironment environment = environment(arguments[4]);
        for (int i = 0; i < statements.length - 1; i++) {
            environment.executeSql(statements[i]);
        }
        long began = System.nanoTime();
        JobClient job = environment.executeSql(statements[statements.length - 1]).getJobClient().orElseThrow();
        // The cluster inside ends with its job, and could not be asked any more.
        CompletableFuture<JobExecutionResult> end = job.getJobExecutionResult();
        Moment warm = null;
        while (!end.isDone() && System.nanoTime() - began < limit) {
            Thread.sleep(POLL_MS);
            if (warm == null && Progress.rows(tables) >= rows / 5) {
                warm = Moment.now(tables);
            }
        }
        boolean done = end.isDone();
        Moment last = Moment.now(tables);
        if (done) {
            // Throws if the job has failed.
            end.get();
        }
        Moment first = warm == null ? last : warm;
        System.out.println(String.format(Locale.ROOT, "{\"rows\": %d, \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"done\": %b}",
                last.rows - first.rows, (last.nanos - first.nanos) / 1e9, (last.cpuNanos - first.cpuNanos) / 1e9, done));
    }

    private static TableEnvironment environment(String checkpoints) {
        Configuration settings = new Configuration();
        settings.setString("parallelism.default", String.valueOf(Runtime.getRuntime().availableProcessors()));
        settings.setString("table.local-time-zone", "UTC");
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("execution.checkpointing.interval", "10 s");
        settings.setString("execution.checkpointing.dir", Path.of(checkpoints).toUri().toString());
        // Its end would wait for one more checkpoint.
        settings.setString("execution.checkpointing.checkpoints-after-tasks-finish", "false");
        settings.setString("taskmanager.memory.managed.size", "512 mb");
        settings.setString("metrics.reporters", "progress");
        settings.setString("metrics.reporter.progress.factory.class", ProgressFactory.class.getName());
        return TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
    }

    /** How far the job was at a moment. */
    private record Moment(long rows, long nanos, long cpuNanos) {
        static Moment now(int tables) {
            var machine = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            return new Moment(Progress.rows(tables), System.nanoTime(), machine.getProcessCpuTime());
        }
    }

    /** Knows the counters of what the sources have read. */
    public static final class Progress implements MetricReporter {
        private static final Map<Counter, String> READ = new ConcurrentHashMap<>();

        /** The rows read of so many tables; where a query has a source for each time that it names a table, a row counts once all the same. */
        static long rows(int tables) {
            long sources = READ.values().stream().distinct().count();
            long all = READ.keySet().stream().mapToLong(Counter::getCount).sum();
            return sources == 0 ? 0 : all * tables / sources;
        }

        @Override
        public void open(MetricConfig config) {}

        @Override
        public void close() {}

        @Override
        public void notifyOfAddedMetric(Metric metric, String name, MetricGroup group) {
            String operator = group.getAllVariables().getOrDefault("<operator_name>", "");
            String id = group.getAllVariables().get("<operator_id>");
            if (metric instanceof Counter counter && name.equals("numRecordsIn") && operator.startsWith("Source: ")) {
                READ.put(counter, id);
            }
        }

        @Override
        public void notifyOfRemovedMetric(Metric metric, String name, MetricGroup group) {
            // What a source has read counts after its end, too.
        }
    }

    /** Makes the reporter; found by its name in META-INF/services. */
    public static final class ProgressFactory implements MetricReporterFactory {
        @Override
        public MetricReporter createMetricReporter(Properties properties) {
            return new Progress();
        }
    }
}
