// Prints the canonical transactions of every network: what is reverted is taken back. BROKER REGISTRY [TOPIC] as arguments; ends
// where the topic ended when it began. Apache Kafka's client, Apache Avro, and any registry that speaks Confluent's API.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.*;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

class Canonical {
    public static void main(String[] args) throws Exception {
        var topic = args.length > 2 ? args[2] : "headwater.enriched.transactions";
        var settings = Map.<String, Object>of("bootstrap.servers", args[0], "isolation.level", "read_committed",
                "auto.offset.reset", "none", "enable.auto.commit", false);
        var chain = new TreeMap<String, TreeMap<Long, TreeMap<Long, GenericRecord>>>(); // network, height, index
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            var all = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            var ends = consumer.endOffsets(all);
            while (all.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                for (var message : consumer.poll(Duration.ofSeconds(1))) {
                    var tx = decode(args[1], message.value());
                    var blocks = chain.computeIfAbsent(tx.get("network").toString(), n -> new TreeMap<>());
                    var height = (Long) tx.get("height");
                    switch (tx.get("op").toString()) {
                        case "revert" -> blocks.remove(height); // one record for the block, without payload
                        case "apply" -> {
                            if (tx.get("hash") != null) // without a hash: unreadable, see dead.letters
                                blocks.computeIfAbsent(height, h -> new TreeMap<>()).put((Long) tx.get("transaction_index"), tx);
                        }
                    }
                }
            }
        }
        chain.values().forEach(blocks -> blocks.values().forEach(block -> block.values().forEach(tx -> System.out.println(
                tx.get("network") + "\t" + tx.get("height") + "\t" + tx.get("transaction_index") + "\t" + tx.get("hash")
                        + "\t" + tx.get("status") + "\t" + tx.get("value")))));
    }

    static final HttpClient http = HttpClient.newHttpClient();
    static final Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>();

    /** Confluent's wire format: a zero byte, the schema's id in four bytes, Avro. */
    static GenericRecord decode(String registry, byte[] value) throws Exception {
        var id = ByteBuffer.wrap(value).getInt(1);
        if (!readers.containsKey(id)) {
            var request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
            var answer = http.send(request, BodyHandlers.ofString()).body(); // {"schema": "…"}, itself JSON and so Avro's parser's
            readers.put(id, new GenericDatumReader<>(new Schema.Parser().parse(
                    new com.fasterxml.jackson.databind.ObjectMapper().readTree(answer).get("schema").asText())));
        }
        return readers.get(id).read(null, DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null));
    }
}
