/* Asks an exported SavedModel about pictures, on TensorFlow's C API alone.
 *
 * What a model server does, with no Python in it: load the version folder, look the
 * signature up, hand over the bytes of the files, read names and probabilities, or why
 * a picture has no answer.
 * Headers and libraries come with the TensorFlow wheel:
 *
 *   TF=$(python -c 'import tensorflow as tf; print(tf.sysconfig.get_lib())')
 *   cc ask.c -I$TF/include -L$TF -Wl,-rpath,$TF \
 *     -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 -o ask
 *   ./ask export/1 seven.png
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static const char* const kSignature = "serve_image_bytes";
static const char* const kInput = "image_bytes";
static const char* const kOutputs[] = {"top_k_class_names", "top_k_probabilities",
                                       "errors"};
enum { kNames, kProbabilities, kErrors, kNumOutputs };

static void fail(const char* what, const char* why) {
  fprintf(stderr, "ask: %s: %s\n", what, why);
  exit(1);
}

static void require_ok(const TF_Status* status, const char* what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

/* Part of a serialized protocol buffer. */
typedef struct {
  const unsigned char* at;
  const unsigned char* end;
} Bytes;

static unsigned long long take_varint(Bytes* bytes) {
  unsigned long long value = 0;
  for (int shift = 0; bytes->at < bytes->end && shift < 64; shift += 7) {
    const unsigned char digit = *bytes->at++;
    value |= (unsigned long long)(digit & 0x7f) << shift;
    if (digit < 0x80) break;
  }
  return value;
}

/* Takes fields from the front until one with this number and of variable length. */
static int take_field(Bytes* bytes, unsigned number, Bytes* content) {
  while (bytes->at < bytes->end) {
    const unsigned long long key = take_varint(bytes);
    unsigned long long length = 0;
    switch (key & 7) {
      case 0: take_varint(bytes); break;
      case 1: length = 8; break;
      case 2: length = take_varint(bytes); break;
      case 5: length = 4; break;
      default: fail("signature", "not a protocol buffer");
    }
    if (length > (unsigned long long)(bytes->end - bytes->at))
      fail("signature", "cut off");
    content->at = bytes->at;
    content->end = bytes->at += length;
    if ((key & 7) == 2 && key >> 3 == number) return 1;
  }
  return 0;
}

/* The value of a key in a map<string, message>, which is field `number`. */
static Bytes look_up(Bytes message, unsigned number, const char* wanted) {
  Bytes entry, key, value;
  while (take_field(&message, number, &entry)) {
    Bytes rest = entry;
    if (!take_field(&rest, 1, &key)) continue;
    rest = entry;
    if ((size_t)(key.end - key.at) == strlen(wanted) &&
        !memcmp(key.at, wanted, strlen(wanted)) && take_field(&rest, 2, &value))
      return value;
  }
  fail(wanted, "no such entry in the signatures");
  exit(1);
}

/* The place in the graph that a TensorInfo of a signature names, as "operation:0". */
static TF_Output find_tensor(TF_Graph* graph, Bytes tensor_info) {
  Bytes name;
  char text[1024];
  if (!take_field(&tensor_info, 1, &name) ||
      (size_t)(name.end - name.at) >= sizeof text)
    fail("signature", "a tensor without a name");
  memcpy(text, name.at, name.end - name.at);
  text[name.end - name.at] = 0;
  char* colon = strrchr(text, ':');
  TF_Output output = {NULL, colon ? atoi(colon + 1) : 0};
  if (colon) *colon = 0;
  output.oper = TF_GraphOperationByName(graph, text);
  if (!output.oper) fail(text, "no such operation in the graph");
  return output;
}

static char* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  if (!file) fail(path, "cannot be opened");
  char* content = NULL;
  size_t capacity = 0;
  *size = 0;
  do {
    capacity = capacity ? 2 * capacity : 1 << 16;
    content = realloc(content, capacity);
    if (!content) fail(path, "does not fit in memory");
    *size += fread(content + *size, 1, capacity - *size, file);
  } while (*size == capacity);
  if (ferror(file)) fail(path, "cannot be read");
  fclose(file);
  return content;
}

int main(int argc, char** argv) {
  if (argc < 3) fail("usage", "ask SAVED_MODEL IMAGE...");
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_Buffer* meta_graph = TF_NewBuffer();
  const char* const tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1,
                                                     graph, meta_graph, status);
  require_ok(status, argv[1]);

  /* Numbers of meta_graph.proto: MetaGraphDef.signature_def is 5, SignatureDef.inputs
   * is 1, its outputs 2. */
  const unsigned char* data = meta_graph->data;
  const Bytes signature =
      look_up((Bytes){data, data + meta_graph->length}, 5, kSignature);
  const TF_Output input = find_tensor(graph, look_up(signature, 1, kInput));
  TF_Output outputs[kNumOutputs];
  for (int i = 0; i < kNumOutputs; ++i)
    outputs[i] = find_tensor(graph, look_up(signature, 2, kOutputs[i]));

  const int64_t num_images = argc - 2;
  TF_Tensor* images = TF_AllocateTensor(TF_STRING, &num_images, 1,
                                        num_images * sizeof(TF_TString));
  for (int64_t i = 0; i < num_images; ++i) {
    TF_TString* image = (TF_TString*)TF_TensorData(images) + i;
    size_t size;
    char* content = read_file(argv[2 + i], &size);
    TF_StringInit(image);
    TF_StringCopy(image, content, size);
    free(content);
  }

  TF_Tensor* answers[kNumOutputs] = {NULL};
  TF_SessionRun(session, NULL, &input, &images, 1, outputs, answers, kNumOutputs, NULL,
                0, NULL, status);
  require_ok(status, "the model");

  const TF_TString* names = TF_TensorData(answers[kNames]);
  const float* probabilities = TF_TensorData(answers[kProbabilities]);
  const TF_TString* errors = TF_TensorData(answers[kErrors]);
  const int64_t num_best = TF_Dim(answers[kNames], 1);
  for (int64_t i = 0; i < num_images; ++i) {
    printf("%s:", argv[2 + i]);
    if (TF_StringGetSize(&errors[i])) {
      printf("  error: %.*s\n", (int)TF_StringGetSize(&errors[i]),
             TF_StringGetDataPointer(&errors[i]));
      continue;
    }
    for (int64_t k = i * num_best; k < (i + 1) * num_best; ++k)
      printf("  %.*s %.6f", (int)TF_StringGetSize(&names[k]),
             TF_StringGetDataPointer(&names[k]), probabilities[k]);
    printf("\n");
  }

  for (int64_t i = 0; i < num_images; ++i)
    TF_StringDealloc((TF_TString*)TF_TensorData(images) + i);
  TF_DeleteTensor(images);
  for (int i = 0; i < kNumOutputs; ++i) TF_DeleteTensor(answers[i]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
