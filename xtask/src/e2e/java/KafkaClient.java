import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Creates a topic, produces idempotently with every compression, and consumes all of it in a group, in two sittings. */
public class KafkaClient {
    static final String TOPIC = "java-client";
    static final int RECORDS = 1000;
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

    public static void main(String[] arguments) throws Exception {
        Properties common = new Properties();
        common.put("bootstrap.servers", arguments[0]);
        try (Admin admin = Admin.create(common)) {
            admin.createTopics(List.of(new NewTopic(TOPIC, 3, (short) 1))).all().get();
            expect(admin.listTopics().names().get().contains(TOPIC), "the new topic is listed");
        }
        for (String codec : CODECS) {
            produce(common, codec);
        }
        int total = RECORDS * CODECS.size();
        Set<String> seen = new HashSet<>();
        consume(common, total / 2, seen);
        consume(common, total - seen.size(), seen);
        expect(seen.size() == total, "each record came once: " + seen.size() + " of " + total);
        System.out.println("all is well: " + total + " records through kafka-clients");
    }

    static void produce(Properties common, String codec) throws Exception {
        Properties settings = new Properties();
        settings.putAll(common);
        settings.put("enable.idempotence", "true");
        settings.put("acks", "all");
        settings.put("compression.type", codec);
        settings.put("linger.ms", "5");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < RECORDS; i++) {
                producer.send(new ProducerRecord<>(TOPIC, "key-" + i % 50, codec + "-" + i));
            }
            producer.flush();
        }
    }

    /** Reads about {@code wanted} records in the group and commits them; order holds per key and codec. */
    static void consume(Properties common, int wanted, Set<String> seen) {
        Properties settings = new Properties();
        settings.putAll(common);
        settings.put("group.id", "java-group");
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        Map<String, Integer> last = new HashMap<>();
        long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(TOPIC));
            int read = 0;
            while (read < wanted && System.nanoTime() < deadline) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    expect(seen.add(record.value()), "not read twice: " + record.value());
                    String[] parts = record.value().split("-");
                    int number = Integer.parseInt(parts[1]);
                    Integer before = last.put(record.key() + parts[0], number);
                    expect(before == null || before < number, "in order: " + record.value() + " after " + before);
                    read++;
                }
                consumer.commitSync();
            }
            expect(read >= wanted, "read " + read + " of " + wanted + " in a minute");
        }
    }

    static void expect(boolean condition, String what) {
        if (!condition) {
            System.err.println("expected: " + what);
            System.exit(1);
        }
    }
}
