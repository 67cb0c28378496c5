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

TEST(PickleTest, HostileNamesAreRefusedByName) {
  expect_refused(
      "\x80\x02"
      "cos\nsystem\nX\2\0\0\0ls\x85R."s,
      "wants os.system");
  expect_refused("\x80\x04\x8c\x05posix\x8c\x06system\x93.", "wants posix.system");
  expect_refused("(S'ls'\nios\nsystem\n.", "wants os.system");
  expect_refused("cbuiltins\neval\n.", "wants builtins.eval");
  expect_refused("c__builtin__\ngetattr\n.", "wants __builtin__.getattr");
  expect_refused("ctimm.models\nVisionTransformer\n.", "state_dict()");
  expect_refused("c" + std::string(1000, '\x1b') + "\n" + std::string(1000, 'y') + "\n.", "????");
  expect_refused("ctorch\nfloat32\n)R.", "not to be called");
  expect_refused("ctorch\nFloatStorage\n)R.", "not to be called");
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
      "no list");
  expect_refused(
      ")K\x02"
      "a.",
      "tuple");
  expect_refused("K\x01(u.", "no dictionary");
  expect_refused("}(K\x01u.", "no value");
  expect_refused("t.", "mark");
  expect_refused("(K\x01R.", "");
  expect_refused("K\x01)R.", "no name");
  expect_refused("K\x01}b.", "attributes");
  expect_refused("K\x01Q.", "no storage");
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
  expect_refused(file.replace(shape, 2, "K\x01"), "does not fit its bytes");
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
  expect_refused(bytes + "e.", "unfolds");
}

// The machine does not recurse, nor does freeing what it made.
TEST(PickleTest, DeepNestingAndCyclesAreHarmless) {
  const int depth = 1'000'000;
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
