// The shared library through its public headers alone.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "bnrun/error.h"
#include "bnrun/inspect.h"
#include "bnrun/session.h"
#include "bnrun/train.h"
#include "bnrun/verify.h"
#include "bnrun/version.h"

namespace bnrun {
namespace {

/// x[N,2] -> Gemm -> BatchNormalization -> Softmax -> y[N,3].
Model small() {
  const train::Network network(2, {train::Dense{3}, train::BatchNormalization{}, train::Activation::softmax});
  return train::to_model(network);
}

TEST(Library, RunTakesInputsWrittenInPlace) {
  const Session session(small());
  const Tensor x(Shape{1, 2}, std::vector<float>{1, 2});
  const auto outputs = session.run({{"input", x}});
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_EQ(to_string(outputs[0].tensor.type()), "float32[1,3]");
  const std::vector<NamedTensor> named{{"input", x}};
  EXPECT_TRUE(identical(session.run(named)[0].tensor, outputs[0].tensor));
}

TEST(Library, OutputTypesAreTypesOfTensors) {
  const Session session(small());
  const Tensor x(DType::float32, {5, 2});
  const TensorView inputs[] = {x};
  EXPECT_EQ(session.output_types(inputs), (std::vector<TensorType>{{DType::float32, {5, 3}}}));
  EXPECT_EQ(Tensor(session.output_types(inputs)[0]).shape(), (Shape{5, 3}));
}

TEST(Library, AnErrorKeepsItsTypeAcrossTheBorder) {
  const Session session(small());
  try {
    session.run({});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_input);
    EXPECT_NE(std::string(error.what()).find("'input'"), std::string::npos) << error.what();
  }
}

TEST(Library, ASessionFoldsAsItsOptionsSay) {
  EXPECT_TRUE(Session(small()).fold_report().complete());
  const auto skipped = Session(small(), {.fold = FoldOptions{.skip = {"*"}}}).fold_report();
  ASSERT_EQ(skipped.entries.size(), 1U);
  EXPECT_EQ(skipped.entries[0].reason, Decline::switched_off);
  EXPECT_TRUE(Session(small(), {.fold = std::nullopt}).fold_report().entries.empty());
}

TEST(Library, ModelsFoldAgreeAndCountAsTheyShould) {
  const Model original = small();
  Model folded = original;
  EXPECT_EQ(fold(folded).rewrites, 1U);
  EXPECT_EQ(count(original).nodes - count(folded).nodes, 1U);
  EXPECT_TRUE(verify(original, folded).agree());
  EXPECT_EQ(inspect(folded).layers.size(), 2U);
  EXPECT_EQ(folded.metadata().producer_version, BNRUN_VERSION);
}

TEST(Library, AModelGoesThroughAStreamAndKeepsWhatItSays) {
  Model model = small();
  model.metadata().domain = "org.example";
  model.metadata().model_version = 3;
  model.metadata().graph_name = "scorer";
  std::stringstream stream;
  model.write(stream);
  const Model again = Model::read(stream);
  EXPECT_EQ(again.metadata().domain, "org.example");
  EXPECT_EQ(again.metadata().model_version, 3);
  EXPECT_EQ(again.metadata().graph_name, "scorer");
  EXPECT_TRUE(verify(model, again).agree());
  std::stringstream broken;
  broken.setstate(std::ios::badbit);
  try {
    Model::read(broken);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
  }
}

}  // namespace
}  // namespace bnrun
