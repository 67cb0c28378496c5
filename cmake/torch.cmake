# LibTorch out of the PyPI wheel, linked by path. find_package(Torch) is not used: with the CUDA
# wheel it demands a CUDA toolkit and overrides its architectures; linking two libraries by path
# needs neither. SGMAE_TORCH_DIR is the `torch` folder of the installed wheel; by default where ./dev
# installs it.
set(cache "$ENV{XDG_CACHE_HOME}")
if(NOT cache)
  set(cache "$ENV{HOME}/.cache")
endif()
set(SGMAE_TORCH_DIR "${cache}/sgmae/torch-2.11.0/torch" CACHE PATH "the `torch` folder of the PyPI wheel torch==2.11.0")
if(NOT EXISTS "${SGMAE_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "No LibTorch in SGMAE_TORCH_DIR='${SGMAE_TORCH_DIR}'. Run ./dev build, which "
                      "installs the wheel and sets this, or point it at an installed torch 2.11.0.")
endif()

add_library(torch INTERFACE)
# -idirafter: the wheel carries its own fmt, protobuf, pybind11 … which must not hide Debian's.
target_compile_options(torch INTERFACE
  "SHELL:-idirafter ${SGMAE_TORCH_DIR}/include"
  "SHELL:-idirafter ${SGMAE_TORCH_DIR}/include/torch/csrc/api/include"
  # at::parallel_for runs its body through OpenMP only where the including file is compiled with it.
  -fopenmp)
target_compile_definitions(torch INTERFACE AT_PER_OPERATOR_HEADERS)
# The wheel's own libgomp, so that our parallel regions and LibTorch's share one thread team.
target_link_libraries(torch INTERFACE
  "${SGMAE_TORCH_DIR}/lib/libtorch_cpu.so" "${SGMAE_TORCH_DIR}/lib/libc10.so"
  "${SGMAE_TORCH_DIR}/lib/libgomp.so.1")
# libtorch_cpu.so finds libcupti and libcudart itself, by its RPATH; the linker need not.
target_link_options(torch INTERFACE -Wl,--allow-shlib-undefined)

# What an installed program needs of the wheels, all in one folder, which is in the RPATH of each:
# what libtorch_cpu.so asks for, and NVIDIA's libraries where they were installed.
set(TORCH_LIBRARIES ${SGMAE_TORCH_DIR}/lib/libtorch_cpu.so ${SGMAE_TORCH_DIR}/lib/libc10.so
  ${SGMAE_TORCH_DIR}/lib/libgomp.so.1)
if(EXISTS ${SGMAE_TORCH_DIR}/lib/libtorch_cuda.so)
  file(GLOB cuda_libraries ${SGMAE_TORCH_DIR}/lib/lib*cuda*.so ${SGMAE_TORCH_DIR}/lib/libtorch_nvshmem.so
    ${SGMAE_TORCH_DIR}/lib/libcaffe2_nvrtc.so ${SGMAE_TORCH_DIR}/../nvidia/*/lib/*.so*)
else()
  file(GLOB cuda_libraries ${SGMAE_TORCH_DIR}/../nvidia/*/lib/libcupti.so.*
    ${SGMAE_TORCH_DIR}/../nvidia/*/lib/libcudart.so.*)
endif()
list(APPEND TORCH_LIBRARIES ${cuda_libraries})
