// Oracle: tests/golden/data/io/*.pkl were written by Python's pickle and numpy in every protocol
// (tests/golden/python_files.py); hostile ones are made here, byte by byte.
#include "sgmae/io/pickle.h"

#include <gtest/gtest.h>

#include <cstring>

#include "sgmae/base/file.h"

namespace sgmae {
namespace {

using namespace std::string_literals;

Pickle read(const std::string& bytes) {
  return read_pickle({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                     "test.pkl");
}

std::string golden(const std::string& name) {
  return read_text(SGMAE_TEST_DATA "/io/" + name + ".pkl");
}

void expect_refused(const std::string& bytes, const std::string& reason) {
  try {
    read(bytes);
    ADD_FAILURE() << "accepted: " << reason;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

// A value as text, much as Python would print it.
std::string shown(const PickleValue& value) {
  const auto joined = [](const std::vector<const PickleValue*>& items) {
    std::string out;
    for (const PickleValue* item : items) out += (out.empty() ? "" : ", ") + shown(*item);
    return out;
  };
  if (value.is_none()) return "None";
  if (const auto* v = value.as<bool>()) return *v ? "True" : "False";
  if (const auto* v = value.as<std::int64_t>()) return std::to_string(*v);
  if (const auto* v = value.as<double>()) return str(*v);
  if (const auto* v = value.as<std::string>()) return "'" + *v + "'";
  if (const auto* v = value.as<PickleBytes>()) return "b'" + v->data + "'";
  if (const auto* v = value.as<PickleSequence>()) {
    using Kind = PickleSequence::Kind;
    const std::string inside = joined(v->items);
    return v->kind == Kind::list    ? "[" + inside + "]"
           : v->kind == Kind::tuple ? "(" + inside + ")"
                                    : "{" + inside + "}";
  }
  if (const auto* v = value.as<PickleDict>()) {
    std::string out;
    for (const auto& [key, item] : v->items)
      out += (out.empty() ? "" : ", ") + shown(*key) + ": " + shown(*item);
    return "{" + out + "}";
  }
  if (const auto* v = value.as<PickleObject>())
    return str(v->name, shown(*v->arguments), shown(*v->state));
  if (const auto* v = value.as<PickleName>()) return std::string(v->name);
  if (const auto* v = value.as<PickleUnknown>()) return "<" + v->name + ">";
  return "?";
}

class EveryProtocol : public testing::TestWithParam<int> {};

TEST_P(EveryProtocol, PlainDataIsReadAsPythonWroteIt) {
  const std::string file = golden(str("plain", GetParam()));
  const Pickle pickle = read(file);
  EXPECT_EQ(pickle.bytes_read, file.size());
  const auto& dict = *pickle.root->as<PickleDict>();
  const auto at = [&](const char* key) { return shown(*dict.find(key)); };
  EXPECT_EQ(at("constants"), "[None, True, False]");
  EXPECT_EQ(at("integers"), "[0, 255, 256, -1, 70000, 2147483648, -9223372036854775808]");
  EXPECT_EQ(at("reals"), "[0.5, -1e+300]");
  EXPECT_EQ(at("text"), "'é漢😀\n\\u'");
  EXPECT_EQ(at("bytes"), std::string("b'\0\xff a'", 7));
  EXPECT_EQ(at("empty"), "b''");
  EXPECT_EQ(at("tuples"), "((), (1), (1, 2), (1, 2, 3), (1, 2, 3, 4))");
  EXPECT_EQ(at("set"), "{3}");
  EXPECT_EQ(at("frozen"), "{4}");
  EXPECT_EQ(at("ordered"), "{'a': 1, 'b': 2}");
  EXPECT_EQ(at("args"), "argparse.Namespace(){'lr': 0.25, 'name': 'x'}");
  EXPECT_EQ(dict.find("many")->as<PickleSequence>()->items.size(), 1200u);
  const auto& shared = dict.find("shared")->as<PickleSequence>()->items;
  EXPECT_EQ(shared[0], shared[1]);  // one node, as in Python
  EXPECT_EQ(dict.find("absent"), nullptr);
}

void expect_arrays(const Pickle& pickle) {
  const auto& dict = *pickle.root->as<PickleDict>();
  const auto* f4 = dict.find("f4")->as<PickleArray>();
  EXPECT_EQ(f4->type, "<f4");
  EXPECT_FALSE(f4->column_major);
  EXPECT_EQ(pickle_integers(*f4->shape), (std::vector<std::int64_t>{2, 3}));
  for (int i = 0; i < 6; ++i) {
    float value;
    std::memcpy(&value, f4->bytes->data.data() + 4 * i, 4);
    EXPECT_EQ(value, static_cast<float>(i));
  }
  const auto* columns = dict.find("columns")->as<PickleArray>();
  EXPECT_EQ(columns->type, "<i8");
  EXPECT_TRUE(columns->column_major);
  EXPECT_EQ(columns->bytes->data[8], 3);  // down the first column
  EXPECT_EQ(dict.find("u1")->as<PickleArray>()->bytes->data, std::string("\0\1\2", 3));
  EXPECT_EQ(dict.find("big")->as<PickleArray>()->type, ">i2");
  EXPECT_EQ(dict.find("big")->as<PickleArray>()->bytes->data, std::string("\0\0\0\1", 4));
  EXPECT_EQ(shown(*dict.find("scalars")), "[0.5, 0.25, -7, True]");
}

TEST_P(EveryProtocol, ArraysAreReadAsNumpyWroteThem) {
  expect_arrays(read(golden(str("arrays", GetParam()))));
}

INSTANTIATE_TEST_SUITE_P(Pickle, EveryProtocol, testing::Range(0, 6));

TEST(PickleTest, NamesOfNumpy1AreRead) {
  expect_arrays(read(golden("arrays_numpy1")));
}

TEST(PickleTest, IntegersBeyond64BitsKeepTheirBytes) {
  const Pickle pickle = read(golden("big_integer"));
  ASSERT_TRUE(pickle.root->as<PickleBigInteger>());
  EXPECT_EQ(pickle.root->as<PickleBigInteger>()->bytes, "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
}

// As cPickle of Python 2 wrote CIFAR's batches: str keys are byte strings.
TEST(PickleTest, StringsOfPython2AreBytesAndStillKeys) {
  const Pickle pickle = read("\x80\2}(U\4dataq\1U\2\xff\0U\6labels](K\3K\4eu."s);
  EXPECT_EQ(shown(*pickle.root->as<PickleDict>()->find("labels")), "[3, 4]");
  EXPECT_EQ(shown(*read("S'a\\n\\x41\\''\n.").root), "b'a\nA''");
}

const std::string kTensor =
    "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
    "0X\3\0\0\0cpuK\6tQK\0K\2K\3\x86K\3K\1\x86\x89}tR"s;

TEST(PickleTest, TensorsReferToTheirStorage) {
  const Pickle pickle = read("\x80\x02" + kTensor + ".");
  const auto* tensor = pickle.root->as<PickleTensor>();
  ASSERT_TRUE(tensor);
  EXPECT_EQ(tensor->storage->type, DType::f32);
  EXPECT_EQ(*tensor->storage->key, "0");
  EXPECT_EQ(tensor->storage->elements, 6);
  EXPECT_EQ(pickle_integers(*tensor->size), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(pickle_integers(*tensor->stride), (std::vector<std::int64_t>{3, 1}));
}

// A view that torch negates when it is read is not what its storage holds.
TEST(PickleTest, TensorsWithMarksAreRefused) {
  const auto marked = [](const std::string& mark, const std::string& set) {
    std::string text = "\x80\x02" + kTensor + ".";
    const std::size_t end = text.rfind("tR");
    return text.insert(end, "}X\3\0\0\0"s + mark + set + "s");
  };
  expect_refused(marked("neg", "\x88"), "torch's mark `neg`");
  EXPECT_TRUE(read(marked("neg", "\x89")).root->as<PickleTensor>());
}

// Before torch 1.6 a module was a persistent id: its class, and the source of that.
TEST(PickleTest, ModulesOfOldFilesAreOpaque) {
  EXPECT_EQ(shown(*read("\x80\x02(X\6\0\0\0modulectorch.nn.modules.loss\nMSELoss\n"
                        "X\1\0\0\0"
                        "fX\1\0\0\0stQ."s)
                       .root),
            "<torch.nn.modules.loss.MSELoss>");
}

// Every way to make an object, of a class that is not known: nothing but its name is kept.
TEST(PickleTest, ObjectsOfUnknownClassesAreOpaque) {
  const std::string thing = "ca.b\nThing\n", unknown = "<a.b.Thing>";
  for (const std::string& made :
       {thing, thing + "K\1\x85R", thing + ")\x81", thing + ")}\x92", "(K\1ia.b\nThing\n"s,
        "(" + thing + "K\1o", thing + ")\x81}U\1aK\1sb",  // with attributes
        thing + ")\x81K\1a", thing + ")\x81(K\1K\2e",     // a list, filled
        thing + ")\x81K\1K\2s", thing + ")\x81(K\1K\2u",  // a dictionary, filled
        "ccopyreg\n_reconstructor\n(" + thing + "c__builtin__\nobject\nNtR}b",
        "c__builtin__\nset\n" + thing + "\x85R",  // made of it
        "\x8c\3a.b\x8c\5Thing\x93"s})
    EXPECT_EQ(shown(*read("\x80\2" + made + ".").root), unknown) << made;
  // A function may be named, and what it would return is no more than its name.
  EXPECT_EQ(shown(*read("c__builtin__\ngetattr\n(" + thing + "U\1xtR.").root),
            "<builtins.getattr>");
  // What holds such an object keeps the rest.
  EXPECT_EQ(shown(*read("}(U\1a" + thing + ")RU\1bK\1u.").root), "{b'a': <a.b.Thing>, b'b': 1}");
  EXPECT_EQ(shown(*read("ccollections\ndefaultdict\n" + thing + "\x85RU\1aK\1s.").root),
            "{b'a': 1}");
  EXPECT_EQ(shown(*read("ctimm.models\nVisionTransformer\n)R.").root),
            "<timm.models.VisionTransformer>");
  EXPECT_EQ(
      shown(*read("c" + std::string(1000, '\x1b') + "\n" + std::string(1000, 'y') + "\n.").root)
          .substr(0, 5),
      "<????");  // printable and short
  expect_refused("cargparse\nNamespace\n)}U\1aK\1s\x92.", "unusual arguments");
  expect_refused("(o.", "no class");
  expect_refused("(K\1o.", "not a name");
}

// Two strings of 60 kB, named together in every way: the names are bounded by the file.
TEST(PickleTest, UnknownNamesAreBounded) {
  std::string bytes = "](";
  for (int i = 0; i < 300; ++i) {
    const std::string word = std::string(70, 'a') + std::to_string(1000 + i);
    bytes += "\x8c"s + static_cast<char>(word.size()) + word + "r"s +
             std::string(1, static_cast<char>(i & 255)) +
             std::string(1, static_cast<char>(i >> 8)) + "\0\0"s + "0"s;
  }
  const auto recalled = [](int i) {
    return "j"s + std::string(1, static_cast<char>(i & 255)) +
           std::string(1, static_cast<char>(i >> 8)) + "\0\0"s;
  };
  for (int i = 0; i < 300; ++i)
    for (int j = 0; j < 300; ++j) bytes += recalled(i) + recalled(j) + "\x93"s;
  expect_refused(bytes + "e.", "refers to far more");
}

TEST(PickleTest, TensorsOfOtherTypesSayThem) {
  const auto typed = [](const std::string& type) {
    return "ctorch._utils\n_rebuild_tensor_v3\n((X\7\0\0\0storagectorch.storage\nUntypedStorage\n"
           "X\1\0\0\0"
           "0X\3\0\0\0cpuK\6tQK\0K\3\x85K\1\x85\x89}ctorch\n"s +
           type + "\n}tR.";
  };
  const Pickle pickle = read(typed("uint16"));
  ASSERT_TRUE(pickle.root->as<PickleTensor>());
  EXPECT_EQ(pickle.root->as<PickleTensor>()->type, DType::u16);
  EXPECT_EQ(pickle.root->as<PickleTensor>()->storage->type, DType::u8);
  EXPECT_EQ(read(typed("float8_e5m2")).root->as<PickleTensor>()->type, DType::f8_e5m2);
  EXPECT_EQ(shown(*read(typed("qint9")).root), "<torch.qint9>");
  // Quantised tensors are in storages of classes that are not known.
  std::string quantised = "\x80\x02" + kTensor + ".";
  EXPECT_EQ(
      shown(*read(quantised.replace(quantised.find("FloatStorage"), 12, "QInt8Storage")).root),
      "<torch.QInt8Storage>");
}

TEST(PickleTest, HostileNamesAreRefusedByName) {
  expect_refused(
      "\x80\x02"
      "cos\nsystem\nX\2\0\0\0ls\x85R."s,
      "asks to run os.system");
  expect_refused("\x80\x04\x8c\x05posix\x8c\x06system\x93.", "asks to run posix.system");
  expect_refused("(S'ls'\nios\nsystem\n.", "asks to run os.system");
  expect_refused("cbuiltins\neval\n.", "asks to run builtins.eval");
  expect_refused("ctorch\nfloat32\n)R.", "cannot be called");
  expect_refused("ctorch\nFloatStorage\n)R.", "cannot be called");
}

TEST(PickleTest, MalformedOnesAreRefused) {
  expect_refused("", "too early");
  expect_refused(".", "stack runs empty");
  expect_refused("\x80\x06.", "protocol");
  expect_refused("\xff.", "instruction 255");
  expect_refused("h\x01.", "refers to a value");
  expect_refused(
      "K\x01K\x02"
      "a.",
      "not a list");
  expect_refused(
      ")K\x02"
      "a.",
      "tuple");
  expect_refused("K\x01(u.", "not a dictionary");
  expect_refused("}(K\x01u.", "no value");
  expect_refused("t.", "mark");
  expect_refused("(K\x01R.", "");
  expect_refused("K\x01)R.", "not a name");
  expect_refused("K\x01}b.", "attributes");
  expect_refused("K\x01Q.", "not a storage");
  expect_refused("Iabc\n.", "number");
  expect_refused("I99999999999999999999\n.", "number");
  expect_refused("S'a\n.", "quoted");
  expect_refused("S'\\x4'\n.", "escape");
  expect_refused("V\\U00110000\n.", "Unicode");
  expect_refused("X\xff\xff\xff\xff.", "too early");
  expect_refused("\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "too early");
  expect_refused("c_codecs\nencode\nX\3\0\0\0漢\x85R."s, "beyond one byte");
}

TEST(PickleTest, TensorsOfImpossibleShapesAreRefused) {
  const auto with = [](const std::string& old_part, const std::string& new_part) {
    std::string changed = "\x80\x02" + kTensor + ".";
    return changed.replace(changed.find(old_part), old_part.size(), new_part);
  };
  expect_refused(with("K\x02K\x03\x86", "\x8a\x09" + std::string(7, '\0') + "\x80" + '\0' + "\x85"),
                 "unusual arguments for torch._utils._rebuild_tensor_v2");  // 2^63
  expect_refused(with("K\x02K\x03\x86", "J\xff\xff\xff\xffK\x03\x86"), "unusual arguments");
  expect_refused(with("K\x02K\x03\x86", "K\x02\x85"), "unusual arguments");
  expect_refused(with("K\x02K\x03\x86",
                      "](K\x02K\x03"
                      "e"),
                 "unusual arguments");
}

TEST(PickleTest, ArraysThatDoNotFitTheirBytesAreRefused) {
  std::string file = golden("arrays2");
  const std::size_t shape = file.find("K\x02K\x03\x86");
  ASSERT_NE(shape, std::string::npos);
  expect_refused(file.replace(shape, 2, "K\x04"), "larger than its bytes");
  expect_refused(file.replace(shape, 2, "K\x01"), "does not match its bytes");
}

TEST(PickleTest, EveryTruncationIsRefused) {
  for (const std::string& whole : {golden("arrays0"), golden("arrays4"), golden("arrays5")})
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
      expect_refused(whole.substr(0, bytes), "");
}

// Ten thousand copies of a list of ten thousand, from 120 kB of pickle.
TEST(PickleTest, UnfoldingIsBounded) {
  std::string bytes = "](";
  for (int i = 0; i < 10'000; ++i) bytes += "K\x01";
  bytes +=
      "eq\x01"
      "0c__builtin__\nset\nq\x02"
      "0](";
  for (int i = 0; i < 10'000; ++i) bytes += "h\x02h\x01\x85R";
  expect_refused(bytes + "e.", "unpacks");
}

TEST(PickleTest, MemoryIsInProportionToTheFile) {
  expect_refused(std::string(1'100'000, ']') + ".", "far more values");
  expect_refused("]" + std::string(10, '\x94') + ".", "remembers more");
}

// The machine does not recurse, nor does freeing what it made.
TEST(PickleTest, DeepNestingAndCyclesAreHarmless) {
  const int depth = 100'000;
  EXPECT_TRUE(read(std::string(depth, ']') + std::string(depth - 1, 'a') + ".").root);
  const Pickle cycle = read(
      "]q\x01h\x01"
      "a.");
  EXPECT_EQ(cycle.root->as<PickleSequence>()->items[0], cycle.root);
}

TEST(PickleTest, WrittenOnesAreReadBack) {
  PickleWriter writer;
  writer.begin_dict();
  writer.text("a");
  writer.begin_list();
  writer.none();
  writer.boolean(true);
  writer.integer(-5);
  writer.integer(std::int64_t{1} << 40);
  writer.real(0.1);
  writer.end_list();
  writer.text("t");
  writer.tensor(DType::i64, "7", std::vector<std::int64_t>{4, 0, 5});
  writer.end_dict();
  const Pickle pickle = read(std::move(writer).finish());
  const auto& dict = *pickle.root->as<PickleDict>();
  EXPECT_EQ(shown(*dict.find("a")), "[None, True, -5, 1099511627776, 0.1]");
  const auto* tensor = dict.find("t")->as<PickleTensor>();
  EXPECT_EQ(tensor->storage->type, DType::i64);
  EXPECT_EQ(*tensor->storage->key, "7");
  EXPECT_EQ(pickle_integers(*tensor->stride), (std::vector<std::int64_t>{5, 5, 1}));
}

}  // namespace
}  // namespace sgmae
